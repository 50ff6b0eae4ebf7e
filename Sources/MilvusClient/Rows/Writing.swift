import MilvusProto
public import RowBatches

extension MilvusClient {
  /// Inserts rows, once: after an answer that does not tell whether they went in, the error says so and the caller decides.
  ///
  /// The batch is checked before it is sent: a column that is not as long as the others kills a 2.3 server, and again at each restart.
  /// - Parameters:
  ///   - partition: nil for the default one, or where a partition key decides.
  ///   - schema: of the collection.
  /// - Returns: how many rows the server says it took.
  public func insert(_ batch: RowBatch, into schema: CollectionSchema, partition: String?) async throws -> Int {
    let call = "Insert \(schema.name)"
    var request = WireInsertRequest()
    request.dbName = database
    request.collectionName = schema.name
    request.partitionName = partition ?? ""
    request.numRows = UInt32(batch.count)
    request.fieldsData = try insertFields(batch, schema: schema, call: call)
    let message = request
    let answer = try await self.call(call, subject: schema.name, repeatable: .no, patience: 4, status: { $0.status }) {
      try await $0.insert(message, metadata: $1, options: $2)
    }
    guard answer.insertCnt == Int64(batch.count) else {
      throw MilvusError.malformedAnswer(call, "\(answer.insertCnt) of \(batch.count) rows inserted")
    }
    return Int(answer.insertCnt)
  }

  private func insertFields(_ batch: RowBatch, schema: CollectionSchema, call: String) throws -> [WireFieldData] {
    // Keys that the server makes are sent only where the caller has them: Lite keeps them, 2.2 and 2.3 refuse.
    let wanted = schema.columns.filter { !($0.isPrimaryKey && $0.autoID) || batch.column($0.name) != nil }
    let extra = batch.columns.filter { column in !wanted.contains { $0.name == column.name } }
    guard extra.isEmpty else { throw MilvusError.malformedRequest(call, "the collection takes no field \(extra[0].name)") }
    return try wanted.map { field in
      guard let column = batch.column(field.name) else { throw MilvusError.malformedRequest(call, "field \(field.name) is missing") }
      guard column.type == field.type else {
        throw MilvusError.malformedRequest(call, "field \(field.name) is \(field.type.name) and the rows have \(column.type.name)")
      }
      if let defect = column.defect(rows: batch.count) { throw MilvusError.malformedRequest(call, "field \(field.name): \(defect)") }
      guard field.nullable || column.validity == nil else {
        throw MilvusError.malformedRequest(call, "field \(field.name) takes no nulls and the rows have some")
      }
      return column.wire(field: field)
    }
  }

  /// Deletes the rows with these keys, in every partition or in one.
  public func delete(
    _ keys: [Key], from schema: CollectionSchema, partition: String? = nil, dialect: ExpressionDialect
  ) async throws {
    guard let key = schema.primaryKey, !keys.isEmpty else { return }
    var request = WireDeleteRequest()
    request.dbName = database
    request.collectionName = schema.name
    request.partitionName = partition ?? ""
    request.expr = dialect.anyOf(keys, field: key.name)
    request.consistencyLevel = .strong
    let message = request
    _ = try await call("Delete \(schema.name)", subject: schema.name, patience: 4, status: { $0.status }) {
      try await $0.delete(message, metadata: $1, options: $2)
    }
  }
}
