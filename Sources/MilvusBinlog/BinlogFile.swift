import Foundation
public import ObjectStorage

/// One of Milvus's own log files: a descriptor, then events whose payloads are whole Parquet files of one column.
///
/// The layout, as Milvus 2.2 and 2.3 write it, all numbers little-endian (`internal/storage` in Milvus's sources; `docs/milvus-files.md` has it to the byte):
/// - magic, 4 bytes: 0xfffabc.
/// - an event's header, 17 bytes: timestamp u64, kind i8, the event's length i32, where the next one begins i32.
/// - the descriptor, event 0: collection, partition, segment and field (i64 each), start and end timestamp (u64), data type (i32), a length for each of
///   eight kinds of event, then a length and that many bytes of JSON.
/// - a data event: start and end timestamp (u64), then its payload.
public struct BinlogFile: Sendable {
  /// What the file says it is part of. A delete log's field is -1.
  public struct Descriptor: Sendable, Hashable {
    public let collection: Int64
    public let partition: Int64
    public let segment: Int64
    public let field: Int64
    /// The first and last timestamp of its rows or deletes.
    public let timestamps: ClosedRange<UInt64>
    /// Milvus's number of the payloads' type.
    public let dataType: Int32
  }

  public enum Kind: Int8, Sendable {
    case insert = 1
    case delete = 2
  }

  /// A data event.
  public struct Event: Sendable, Hashable {
    public let kind: Kind
    /// Where in the file its Parquet file stands.
    public let payload: Range<Int>
  }

  /// The file, as a person would name it.
  public let place: String
  public let descriptor: Descriptor
  public let events: [Event]
  let object: any ObjectReader

  static let magic: UInt32 = 0xff_fabc
  private static let headerBytes = 17
  private static let descriptorBytes = 52
  /// Of a descriptor and of each kind of data event: what comes before that which differs in length.
  private static let fixedLengths: [UInt8] = [52, 16, 16, 16, 16, 16, 16, 16]
  private static let mostExtraBytes = 1 << 16

  /// Reads the envelope: every length in it, to the file's last byte.
  /// - Throws: `BinlogError` where it is not what Milvus writes, or what a later Milvus does.
  public init(_ object: any ObjectReader, place: String) throws {
    (self.object, self.place) = (object, place)
    var bytes = BinlogBytes(object, place: place)
    guard try bytes.number(UInt32.self) == Self.magic else {
      throw bytes.damaged("there is no magic number: it is no log file of Milvus", back: 4)
    }

    let header = try Header(&bytes)
    guard header.kind == 0 else { throw bytes.damaged("the first event is no descriptor", back: Self.headerBytes) }
    let (collection, partition) = (try bytes.number(Int64.self), try bytes.number(Int64.self))
    let (segment, field) = (try bytes.number(Int64.self), try bytes.number(Int64.self))
    let (start, end) = (try bytes.number(UInt64.self), try bytes.number(UInt64.self))
    let dataType = try bytes.number(Int32.self)
    guard start <= end else { throw bytes.damaged("its first timestamp is later than its last", back: 20) }
    guard try bytes.take(Self.fixedLengths.count).elementsEqual(Self.fixedLengths) else {
      throw BinlogError.unsupported(place, "its events are laid out in another way")
    }
    let extraBytes = Int(try bytes.number(Int32.self))
    guard (0...Self.mostExtraBytes).contains(extraBytes), bytes.offset + extraBytes == header.next else {
      throw bytes.damaged("the descriptor's length is not what it holds", back: 4)
    }
    try Self.checkExtras(try bytes.take(extraBytes), place)
    descriptor = Descriptor(
      collection: collection, partition: partition, segment: segment, field: field, timestamps: start...end, dataType: dataType)

    var events: [Event] = []
    var range: ClosedRange<UInt64>?
    while bytes.offset < object.bytes {
      let at = bytes.offset
      let header = try Header(&bytes)
      guard let kind = Kind(rawValue: header.kind) else { throw bytes.damaged("an event of the unknown kind \(header.kind)", back: 9) }
      let (first, last) = (try bytes.number(UInt64.self), try bytes.number(UInt64.self))
      guard first <= last, start <= first, last <= end else {
        throw bytes.damaged("an event's timestamps are not within the file's", back: 16)
      }
      range = min(first, range?.lowerBound ?? first)...max(last, range?.upperBound ?? last)
      guard header.next > bytes.offset else { throw bytes.damaged("an event without a payload", back: bytes.offset - at) }
      events.append(Event(kind: kind, payload: bytes.offset..<header.next))
      bytes.skip(to: header.next)
    }
    guard let kind = events.first?.kind else { throw bytes.damaged("it ends before its first event", back: 0) }
    guard events.allSatisfy({ $0.kind == kind }) else { throw bytes.damaged("inserts and deletes in one file", back: 0) }
    guard range == start...end else { throw bytes.damaged("its events' timestamps do not span the file's", back: 0) }
    self.events = events
  }

  /// What only later versions write says so there: encryption, fields that may be null, several fields in a file.
  private static func checkExtras(_ json: Data, _ place: String) throws {
    guard let extras = try? JSONSerialization.jsonObject(with: json) as? [String: Any] else {
      throw BinlogError.damaged(
        place, offset: 4 + headerBytes + descriptorBytes + fixedLengths.count + 4, "the descriptor's JSON cannot be read")
    }
    guard let unknown = extras.keys.sorted().first(where: { $0 != "original_size" }) else { return }
    throw BinlogError.unsupported(place, "it says \"\(unknown)\" of itself, which a later Milvus writes")
  }

  private struct Header {
    let kind: Int8
    let next: Int

    init(_ bytes: inout BinlogBytes) throws {
      let at = bytes.offset
      _ = try bytes.number(UInt64.self)
      kind = try bytes.number(Int8.self)
      let length = Int(try bytes.number(Int32.self))
      next = Int(try bytes.number(Int32.self))
      guard length >= BinlogFile.headerBytes, next == at + length else {
        throw bytes.damaged("an event's length and its end do not agree", back: 8)
      }
      guard next <= bytes.size else {
        throw bytes.damaged("an event that goes on to byte \(next): the file was cut at \(bytes.size)", back: 8)
      }
    }
  }
}

/// The bytes of a log file, read from the front.
private struct BinlogBytes {
  private let object: any ObjectReader
  private let place: String
  private(set) var offset = 0

  init(_ object: any ObjectReader, place: String) { (self.object, self.place) = (object, place) }

  var size: Int { object.bytes }

  mutating func take(_ count: Int) throws -> Data {
    var data = Data(count: count)
    let read = count == 0 ? 0 : try data.withUnsafeMutableBytes { try object.read(at: offset, into: $0) }
    guard read == count else { throw BinlogError.damaged(place, offset: offset, "it ends, and \(count) bytes should follow") }
    offset += count
    return data
  }

  mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
    let data = try take(MemoryLayout<Number>.size)
    return Number(littleEndian: data.withUnsafeBytes { $0.loadUnaligned(as: Number.self) })
  }

  mutating func skip(to place: Int) { offset = place }

  /// - Parameter back: how far before the place where reading stands the damage is.
  func damaged(_ what: String, back: Int) -> BinlogError { .damaged(place, offset: offset - back, what) }
}
