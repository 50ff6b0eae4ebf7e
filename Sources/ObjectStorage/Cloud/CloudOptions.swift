/// How a cloud is reached.
public struct CloudOptions: Sendable {
  /// Keys of one's own; nil for what the environment, the profile or the machine's role says.
  public var credentials: CloudCredentials?
  /// A PEM file of certificate authorities to trust; nil for the system's.
  public var certificateAuthority: String?
  /// What all uploads together, and all downloads, take of the line.
  public var uploads: RateLimit?
  public var downloads: RateLimit?

  public init(_ credentials: CloudCredentials? = nil) { self.credentials = credentials }
}

/// The keys of an S3 account.
public struct CloudCredentials: Sendable {
  let accessKey: String
  let secretKey: String
  let sessionToken: String?

  public init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
    (self.accessKey, self.secretKey, self.sessionToken) = (accessKey, secretKey, sessionToken)
  }
}

extension CloudCredentials: CustomStringConvertible, CustomReflectable {
  /// Never the keys.
  public var description: String { "credentials" }
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}
