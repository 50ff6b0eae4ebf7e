import CArrowBridge
import Foundation
import RowBatches

/// Memory handed to Arrow: freed all at once, when Arrow releases the root it belongs to.
private final class ArrowMemory {
  private var blocks: [UnsafeMutableRawPointer] = []
  private var strings: [UnsafeMutablePointer<CChar>] = []

  deinit {
    for block in blocks { block.deallocate() }
    for string in strings { free(string) }
  }

  func allocate(bytes: Int) -> UnsafeMutableRawPointer {
    // Never empty: Arrow wants an address even for no values. Aligned as Arrow advises.
    let block = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 8), alignment: 64)
    blocks.append(block)
    return block
  }

  func allocate<T>(_ type: T.Type, count: Int) -> UnsafeMutablePointer<T> {
    allocate(bytes: max(1, count) * MemoryLayout<T>.stride).bindMemory(to: T.self, capacity: max(1, count))
  }

  func string(_ text: String) -> UnsafePointer<CChar>? {
    guard let copy = strdup(text) else { return nil }
    strings.append(copy)
    return UnsafePointer(copy)
  }
}

// A child is freed with its root; its own release only marks it as released.
private let releaseChildSchema: @convention(c) (UnsafeMutablePointer<ArrowSchema>?) -> Void = { $0?.pointee.release = nil }
private let releaseChildArray: @convention(c) (UnsafeMutablePointer<ArrowArray>?) -> Void = { $0?.pointee.release = nil }
private let releaseRootSchema: @convention(c) (UnsafeMutablePointer<ArrowSchema>?) -> Void = { schema in
  if let memory = schema?.pointee.private_data { Unmanaged<ArrowMemory>.fromOpaque(memory).release() }
  schema?.pointee.release = nil
}
private let releaseRootArray: @convention(c) (UnsafeMutablePointer<ArrowArray>?) -> Void = { array in
  if let memory = array?.pointee.private_data { Unmanaged<ArrowMemory>.fromOpaque(memory).release() }
  array?.pointee.release = nil
}

extension RowLayout {
  /// The layout as an Arrow schema, for Arrow to consume.
  func exportSchema() -> ArrowSchema {
    let memory = ArrowMemory()
    var root = ArrowSchema()
    root.format = memory.string("+s")
    root.name = memory.string("")
    memory.setChildren(of: &root, fields.map { ($0.name, ArrowType($0.type), $0.nullable) })
    root.release = releaseRootSchema
    root.private_data = Unmanaged.passRetained(memory).toOpaque()
    return root
  }
}

extension ArrowMemory {
  fileprivate func setChildren(of schema: inout ArrowSchema, _ fields: [(name: String, type: ArrowType, nullable: Bool)]) {
    schema.n_children = Int64(fields.count)
    let pointers = allocate(UnsafeMutablePointer<ArrowSchema>?.self, count: fields.count)
    for (i, field) in fields.enumerated() {
      let child = allocate(ArrowSchema.self, count: 1)
      var value = ArrowSchema()
      value.format = string(field.type.format)
      value.name = string(field.name)
      value.flags = field.nullable ? Int64(ARROW_FLAG_NULLABLE) : 0
      setChildren(of: &value, field.type.children.map { ($0.name, $0.type, false) })
      value.release = releaseChildSchema
      child.initialize(to: value)
      pointers[i] = child
    }
    schema.children = pointers
  }
}

extension RowBatch {
  /// The rows as an Arrow struct array, for Arrow to consume. The values are copied.
  func exportArray() -> ArrowArray {
    let memory = ArrowMemory()
    var root = memory.array(length: count, buffers: [nil], children: columns.map { memory.array(of: $0) })
    root.release = releaseRootArray
    root.private_data = Unmanaged.passRetained(memory).toOpaque()
    return root
  }
}

extension ArrowMemory {
  fileprivate func array(
    length: Int, nullCount: Int = 0, buffers: [UnsafeMutableRawPointer?], children: [ArrowArray] = []
  ) -> ArrowArray {
    var array = ArrowArray()
    array.length = Int64(length)
    array.null_count = Int64(nullCount)
    array.n_buffers = Int64(buffers.count)
    let addresses = allocate(UnsafeRawPointer?.self, count: buffers.count)
    for (i, buffer) in buffers.enumerated() { addresses[i] = buffer.map { UnsafeRawPointer($0) } }
    array.buffers = addresses
    array.n_children = Int64(children.count)
    let pointers = allocate(UnsafeMutablePointer<ArrowArray>?.self, count: children.count)
    for (i, value) in children.enumerated() {
      let child = allocate(ArrowArray.self, count: 1)
      child.initialize(to: value)
      pointers[i] = child
    }
    array.children = pointers
    array.release = releaseChildArray
    return array
  }

  fileprivate func array(of column: Column) -> ArrowArray {
    let validity = column.validity.map { bits($0) }
    let nulls = column.validity?.reduce(0) { $0 + ($1 ? 0 : 1) } ?? 0
    let rows = column.count
    switch (column.type, column.values) {
    case (.vector(.sparse, _), .variable(let offsets, let bytes)):
      return sparse(offsets: offsets, bytes: bytes, validity: validity, nulls: nulls)
    case (.vector, .fixed(let width, let bytes)):
      let elementWidth = column.type.isFloatVector ? 4 : 1
      let each = width / elementWidth
      let starts = int32(count: rows + 1) { Int32($0 * each) }
      let elements = array(length: rows * each, buffers: [nil, copy(bytes)])
      return array(length: rows, nullCount: nulls, buffers: [validity, starts], children: [elements])
    case (.array(let element), .list(let offsets, let elements)):
      let starts = int32(count: offsets.count) { Int32(offsets[$0]) }
      let child = array(of: Column(name: "element", type: .scalar(element), values: elements))
      return array(length: rows, nullCount: nulls, buffers: [validity, starts], children: [child])
    case (.scalar(.bool), .fixed(_, let bytes)):
      return array(length: rows, nullCount: nulls, buffers: [validity, bits(bytes.map { $0 != 0 })])
    case (_, .fixed(_, let bytes)):
      return array(length: rows, nullCount: nulls, buffers: [validity, copy(bytes)])
    case (_, .variable(let offsets, let bytes)):
      let starts = int32(count: offsets.count) { Int32(offsets[$0]) }
      return array(length: rows, nullCount: nulls, buffers: [validity, starts, copy(bytes)])
    case (_, .list):
      preconditionFailure("RowBatch checks that only arrays are lists")
    }
  }

  /// Sparse rows, (u32 index, f32 value) pairs, as a list of indices beside a list of values.
  private func sparse(offsets: [Int], bytes: Data, validity: UnsafeMutableRawPointer?, nulls: Int) -> ArrowArray {
    let rows = offsets.count - 1
    let pairs = bytes.count / 8
    let (indices, values) = (allocate(bytes: 4 * pairs), allocate(bytes: 4 * pairs))
    bytes.withUnsafeBytes { raw in
      for i in 0..<pairs {
        indices.storeBytes(of: raw.loadUnaligned(fromByteOffset: 8 * i, as: UInt32.self), toByteOffset: 4 * i, as: UInt32.self)
        values.storeBytes(of: raw.loadUnaligned(fromByteOffset: 8 * i + 4, as: UInt32.self), toByteOffset: 4 * i, as: UInt32.self)
      }
    }
    let lists = [indices, values].map { elements in
      array(
        length: rows, buffers: [nil, int32(count: rows + 1) { Int32(offsets[$0] / 8) }],
        children: [array(length: pairs, buffers: [nil, elements])])
    }
    return array(length: rows, nullCount: nulls, buffers: [validity], children: lists)
  }

  private func copy(_ data: Data) -> UnsafeMutableRawPointer {
    let block = allocate(bytes: data.count)
    data.withUnsafeBytes { raw in
      if let base = raw.baseAddress { block.copyMemory(from: base, byteCount: raw.count) }
    }
    return block
  }

  private func int32(count: Int, _ value: (Int) -> Int32) -> UnsafeMutableRawPointer {
    let numbers = allocate(Int32.self, count: count)
    for i in 0..<count { numbers[i] = value(i) }
    return UnsafeMutableRawPointer(numbers)
  }

  private func bits(_ flags: [Bool]) -> UnsafeMutableRawPointer {
    let bytes = allocate(UInt8.self, count: (flags.count + 7) / 8)
    bytes.update(repeating: 0, count: (flags.count + 7) / 8)
    for (i, flag) in flags.enumerated() where flag { bytes[i >> 3] |= 1 << UInt8(i & 7) }
    return UnsafeMutableRawPointer(bytes)
  }
}

extension ColumnType {
  var isFloatVector: Bool {
    if case .vector(.float, _) = self { true } else { false }
  }
}
