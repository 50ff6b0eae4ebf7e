// Reads the rows of a collection whose keys are 0, 1, 2, … by our own client and throws them away.
//   ReadAndDiscard URI COLLECTION ROWS STREAMS          without any proof: what a backup could at best take
//   ReadAndDiscard URI COLLECTION ROWS STREAMS proven   as a backup does, with a scan of the keys, counts and digests, but without comparing or writing
import Foundation
import MilvaultKit
import MilvusClient
import RowBatches

let arguments = CommandLine.arguments
guard arguments.count == 5 || arguments.count == 6 && arguments[5] == "proven", let rows = Int(arguments[3]),
  let streams = Int(arguments[4])
else {
  print("usage: ReadAndDiscard URI COLLECTION ROWS STREAMS [proven]")
  exit(64)
}
let pageBytes = 12 << 20
let client = try await MilvusClient.connect(try Endpoint(arguments[1]))
let schema = try await client.describeCollection(arguments[2]).schema
guard let key = schema.primaryKey else { exit(1) }
let timestamp = try await client.allocateTimestamp()

func readUnproven() async throws -> Int {
  let width = schema.columns.reduce(0) { $0 + $1.expectedWidth }
  let page = min(MilvusClient.largestPage - 1, pageBytes / width)
  return try await withThrowingTaskGroup(of: Int.self) { group in
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
    return try await group.reduce(0, +)
  }
}

func readProven() async throws -> Int {
  let capture = QueryCapture(
    client: client, schema: schema, consistency: .upTo(timestamp), dialect: .escapes, counts: true, pageBytes: pageBytes, streams: streams)
  var read = 0
  try await capture.read(partition: nil) { read += $0.rows.keys.count }
  return read
}

let read = try await arguments.count == 6 ? readProven() : readUnproven()
await client.close()
print("\(read) rows read")
exit(read == rows ? 0 : 1)
