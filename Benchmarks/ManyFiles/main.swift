import Foundation
import TestRepositories

// A repository of many small files, for benchmarks of what the number of files costs: ManyFiles FOLDER FILES
let arguments = CommandLine.arguments
guard arguments.count == 3, let files = Int(arguments[2]) else {
  print("ManyFiles FOLDER FILES")
  exit(64)
}
// Each segment has rows and digests.
let segments = files / 2
let made = try await TemporaryRepository()
_ = try await made.backUp(rows: segments * 4, segmentRows: 4)
try FileManager.default.copyItem(at: made.folder, to: URL(fileURLWithPath: arguments[1]))
