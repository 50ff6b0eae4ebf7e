/// What each line of Milvus holds, and what changes from one to the next: all that Milvault knows of versions, as data.
///
/// `features` of 2.2.16, 2.3.5, Lite 2.5.1 and Lite 3.2.2 were measured (`docs/milvus-behaviour.md`); 2.3.5 makes collections with fields of types that it
/// cannot fill and says nothing, so that its own answer is no guide. Those of 2.4 to 2.6 are as Milvus's documentation has them.
/// `steps` are what was measured here, what upgrade guides warn of, and what is generally known of Milvus: not all that its release notes hold.
enum CompatibilityRules {
  /// A line of versions that hold the same.
  struct Line: Sendable {
    let isLite: Bool
    let major: Int
    /// nil for all of the major version.
    let minor: Int?
    let isMeasured: Bool
    let features: Set<MilvusFeature>

    func holds(_ version: MilvusVersion) -> Bool {
      version.isLite == isLite && version.major == major && (minor ?? version.minor) == version.minor
    }
  }

  private static let server22: Set<MilvusFeature> = [.binaryVectors, .dynamicFields, .partitionKeys, .partitions, .databases]
  private static let server23 = server22.union([.arrays, .defaultValues])
  private static let server24 = server23.union([.halfVectors, .sparseVectors, .severalVectors])
  private static let server25 = server24.union([.nullableFields, .functions])
  private static let server26 = server25.union([.int8Vectors, .geometry, .timestamptz])

  static let lines: [Line] = [
    Line(isLite: false, major: 2, minor: 2, isMeasured: true, features: server22),
    Line(isLite: false, major: 2, minor: 3, isMeasured: true, features: server23),
    Line(isLite: false, major: 2, minor: 4, isMeasured: false, features: server24),
    Line(isLite: false, major: 2, minor: 5, isMeasured: false, features: server25),
    Line(isLite: false, major: 2, minor: 6, isMeasured: false, features: server26),
    Line(
      isLite: true, major: 2, minor: nil, isMeasured: true,
      features: [
        .arrays, .binaryVectors, .halfVectors, .sparseVectors, .severalVectors, .defaultValues, .dynamicFields, .partitionKeys,
      ]),
    Line(
      isLite: true, major: 3, minor: nil, isMeasured: true,
      features: [
        .arrays, .geometry, .timestamptz, .sparseVectors, .severalVectors, .nullableFields, .defaultValues, .dynamicFields,
        .partitionKeys, .functions, .partitions, .databases, .unboundedArrayTexts,
      ]),
  ]

  /// What is known to change from one minor version of the server to the next.
  struct Step: Sendable {
    let from: (major: Int, minor: Int)
    let to: (major: Int, minor: Int)
    let changes: [String]
  }

  static let steps: [Step] = [
    Step(from: (2, 0), to: (2, 1), changes: ["varchar fields came, and with them keys that are texts"]),
    Step(
      from: (2, 1), to: (2, 2),
      changes: [
        "the metadata have another form: Milvus's own upgrade needs its migration tool before 2.2 starts",
        "a collection has to have an index before it is loaded", "from 2.2.3 on a collection has at most 64 fields, not 256",
      ]),
    Step(
      from: (2, 2), to: (2, 3),
      changes: [
        "errors carry other codes (`code`, not only `error_code`): clients that look at them have to be matched",
        "a rolling upgrade needs 2.2.3 or later", "upserts came: an upsert limited to a partition leaves the key's row in another one",
        "COSINE came; collections with IP over vectors that were normalised by the application stay as they are",
        "ANNOY is gone, and STL_SORT of bool fields",
      ]),
    Step(
      from: (2, 3), to: (2, 4),
      changes: [
        "bulk import is another program with other tasks: jobs that were begun before are not told by the new calls",
        "a collection may have several vector fields; clients that take the first for the only one have to be looked at",
        "`like` with % in the middle and _ has a meaning now",
      ]),
    Step(
      from: (2, 4), to: (2, 5),
      changes: [
        "nulls came: a filter over a field with nulls leaves those rows out, `not` included",
        "text search by BM25 came; the words its analyzers find are part of what a search gives",
      ]),
    Step(
      from: (2, 5), to: (2, 6),
      changes: [
        "upgrade to 2.5.16 or later with mixCoord first; release candidates of 2.6 are not upgraded",
        "coordinators are one program now, index nodes are gone and streaming nodes are new: the deployment's files have to be written anew",
        "the message queue stays the one it was",
      ]),
  ]

  /// What to do before an upgrade, whatever the versions.
  static let drill = [
    "milvault backup --verify rows", "start the new version beside the old one, empty",
    "milvault restore latest --uri NEW, which compares every row",
    "run the application's own searches against it, and compare their results",
  ]
}
