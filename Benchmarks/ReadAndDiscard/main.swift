// Reads the rows of a collection whose keys are 0, 1, 2, … by our own client and throws them away: what a backup could at best take.
//   ReadAndDiscard URI COLLECTION ROWS STREAMS
import Foundation
import MilvusClient
import RowBatches

let arguments = CommandLine.arguments
guard arguments.count == 5, let rows = Int(arguments[3]), let streams = Int(arguments[4]) else {
  print("usage: ReadAndDiscard URI COLLECTION ROWS STREAMS")
  exit(64)
}
let client = try await MilvusClient.connect(try Endpoint(arguments[1]))
let schema = try await client.describeCollection(arguments[2]).schema
guard let key = schema.primaryKey else { exit(1) }
let timestamp = try await client.allocateTimestamp()
let width = schema.columns.reduce(0) { $0 + $1.expectedWidth }
let page = min(MilvusClient.largestPage - 1, (12 << 20) / width)
let read = try await withThrowingTaskGroup(of: Int.self) { group in
  for stream in 0..<streams {
    let (from, to) = (rows * stream / streams, rows * (stream + 1) / streams)
    group.addTask {
      var read = 0
      for start in stride(from: from, to: to, by: page) {
        let range = KeyRange(after: .int64(Int64(start - 1)), through: .int64(Int64(min(to, start + page) - 1)))
        let query = RowQuery(
          schema: schema, range: range, key: key, fields: schema.columns, consistency: .upTo(timestamp), dialect: .escapes)
        read += try await client.query(query, limit: page).count
      }
      return read
    }
  }
  var total = 0
  for try await count in group { total += count }
  return total
}
await client.close()
print("\(read) rows read")
exit(read == rows ? 0 : 1)
