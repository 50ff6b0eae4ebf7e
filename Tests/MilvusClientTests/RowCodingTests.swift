import Foundation
import MilvusClient
import MilvusProto
import RowBatches
import RowFormats
import TestRows
import Testing

@Suite struct RowCodingTests {
  private func field(_ layout: FieldLayout) -> FieldSchema {
    FieldSchema(name: layout.name, type: layout.type, isDynamic: layout.name == "$meta", nullable: layout.nullable)
  }

  /// Through the bytes of the wire, for every type, also those that no server here holds.
  @Test(arguments: [UInt64(1), 2, 3])
  func everyTypeSurvivesTheWire(seed: UInt64) throws {
    let batch = try RandomRows.batch(RandomRows.everyType, rows: 60, seed: seed)
    for layout in RandomRows.everyType.fields {
      // Times outside the years that text can hold, and nulls among sparse rows, are not sent.
      if layout.type == .scalar(.timestamptz) || layout.name == "nv_sparse_float_vector" { continue }
      let column = try #require(batch.column(layout.name))
      let sent = try WireFieldData(serializedBytes: column.wire(field: field(layout)).serializedData() as Data)
      let back = try Column(sent, field: field(layout), rows: batch.count, call: "test")
      let (a, b) = (try RowBatch(columns: [column], count: 60), try RowBatch(columns: [back], count: 60))
      #expect(RowDigests(of: a).digests == RowDigests(of: b).digests, "\(layout.name)")
    }
  }

  @Test func anAnswerThatContradictsItselfIsAnError() throws {
    var wire = WireFieldData()
    wire.fieldName = "v"
    wire.vectors.dim = 4
    wire.vectors.floatVector.data = Data(count: 31)
    let vector = FieldSchema(name: "v", type: .vector(.float, dimension: 4))
    #expect(throws: MilvusError.self) { try Column(wire, field: vector, rows: 2, call: "test") }
    #expect(throws: MilvusError.self) { try Column(wire, field: FieldSchema(name: "v", type: .scalar(.int64)), rows: 2, call: "test") }
    var flags = WireFieldData()
    flags.scalars.longData.data = [1, 2]
    flags.validData = [true]
    #expect(throws: MilvusError.self) {
      try Column(flags, field: FieldSchema(name: "n", type: .scalar(.int64), nullable: true), rows: 2, call: "test")
    }
  }
}
