import MilvusClient
import RowBatches

/// What a collection may need of the server that holds it.
enum MilvusFeature: String, Sendable, CaseIterable {
  case arrays, geometry, text, timestamptz
  case binaryVectors, halfVectors, int8Vectors, sparseVectors, severalVectors
  case nullableFields, defaultValues, dynamicFields, partitionKeys, functions, partitions, databases
  /// Arrays of texts whose length no one says.
  case unboundedArrayTexts

  /// The feature that a field's type is.
  init?(_ type: ColumnType) {
    switch type {
    case .array: self = .arrays
    case .scalar(.geometry): self = .geometry
    case .scalar(.text): self = .text
    case .scalar(.timestamptz): self = .timestamptz
    case .vector(.binary, _): self = .binaryVectors
    case .vector(.float16, _), .vector(.bfloat16, _): self = .halfVectors
    case .vector(.int8, _): self = .int8Vectors
    case .vector(.sparse, _): self = .sparseVectors
    case .scalar, .vector(.float, _), .digest: return nil
    }
  }
}
