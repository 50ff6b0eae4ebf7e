// swift-tools-version: 6.1
import PackageDescription

// Apache Arrow C++ comes from the pyarrow wheel; `make setup` unpacks it here (see Scripts/setup).
let arrow = "\(Context.packageDirectory)/.deps/arrow"

let swiftSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

// Ground floor first: a target depends only on targets listed above it.
let package = Package(
  name: "milvault",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "MilvaultKit", targets: ["MilvaultKit"]),
    .executable(name: "milvault", targets: ["milvault"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.1.4"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.36.0"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
    .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
    .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
  ],
  targets: [
    .target(
      name: "CArrowBridge",
      cxxSettings: [.unsafeFlags(["-isystem", "\(arrow)/include"])],
      linkerSettings: [
        .unsafeFlags([
          "-L\(arrow)/lib",
          "-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../lib/milvault",
          "-Xlinker", "-rpath", "-Xlinker", "\(arrow)/lib",
        ]),
        .linkedLibrary("arrow"), .linkedLibrary("arrow_s3"), .linkedLibrary("parquet"),
      ]),
    .target(name: "CFloatText"),
    .target(
      name: "RowBatches",
      dependencies: [.product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: swiftSettings),
    .target(
      name: "RowFormats",
      dependencies: ["CArrowBridge", "CFloatText", "RowBatches"],
      swiftSettings: swiftSettings),
    .target(name: "RowFilters", dependencies: ["RowBatches", "RowFormats"], swiftSettings: swiftSettings),
    .target(
      name: "ObjectStorage",
      dependencies: [
        "CArrowBridge",
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ],
      swiftSettings: swiftSettings),
    .target(
      name: "MilvusProto",
      dependencies: [
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
      ],
      exclude: ["milvus.proto"],
      swiftSettings: [.enableUpcomingFeature("ExistentialAny")]),
    .target(
      name: "MilvusClient",
      dependencies: [
        "RowBatches", "MilvusProto",
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCNIOTransportHTTP2", package: "grpc-swift-nio-transport"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: swiftSettings),
    .target(
      name: "MilvusBinlog", dependencies: ["RowBatches", "RowFormats", "ObjectStorage", "MilvusClient"], swiftSettings: swiftSettings),
    .target(
      name: "BackupRepository",
      dependencies: [
        "RowBatches", "RowFormats", "ObjectStorage", "MilvusClient", "MilvusBinlog",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
      ],
      swiftSettings: swiftSettings),
    .target(
      name: "MilvaultKit",
      dependencies: [
        "BackupRepository", "MilvusBinlog", "MilvusClient", "RowBatches", "RowFilters", "RowFormats", "ObjectStorage",
        .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Mustache", package: "swift-mustache"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "Yams", package: "Yams"),
      ],
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "milvault",
      dependencies: [
        "MilvaultKit", "BackupRepository", "MilvusClient", "ObjectStorage", "RowBatches",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "ReadAndDiscard", dependencies: ["MilvaultKit", "MilvusClient", "RowBatches"], path: "Benchmarks/ReadAndDiscard",
      swiftSettings: swiftSettings),

    .executableTarget(
      name: "ManyFiles", dependencies: ["TestRepositories"], path: "Benchmarks/ManyFiles", swiftSettings: swiftSettings),

    // Tests, arranged like the sources. MilvaultTests runs the command line against real servers.
    .target(name: "TestRows", dependencies: ["RowBatches", "RowFormats"], path: "Tests/TestRows", swiftSettings: swiftSettings),
    .target(
      name: "TestRepositories", dependencies: ["BackupRepository", "ObjectStorage", "TestRows"], path: "Tests/TestRepositories",
      swiftSettings: swiftSettings),
    .testTarget(
      name: "RowBatchesTests", dependencies: ["RowBatches", "TestRows", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: swiftSettings),
    .testTarget(name: "RowFormatsTests", dependencies: ["RowFormats", "TestRows"], swiftSettings: swiftSettings),
    .testTarget(name: "RowFiltersTests", dependencies: ["RowBatches", "RowFilters", "RowFormats"], swiftSettings: swiftSettings),
    .testTarget(name: "MilvusClientTests", dependencies: ["MilvusClient", "MilvusProto", "TestRows"], swiftSettings: swiftSettings),
    .testTarget(
      name: "BackupRepositoryTests", dependencies: ["BackupRepository", "ObjectStorage", "TestRepositories", "TestRows"],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "MilvaultKitTests",
      dependencies: [
        "MilvaultKit", "TestRepositories", "TestRows", .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "MilvaultTests",
      dependencies: [
        "MilvaultKit", "BackupRepository", "MilvusBinlog", "MilvusClient", "ObjectStorage", "RowBatches", "RowFilters", "RowFormats",
        "TestRepositories",
        "milvault",
        .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      swiftSettings: swiftSettings),
  ],
  cxxLanguageStandard: .cxx20
)
