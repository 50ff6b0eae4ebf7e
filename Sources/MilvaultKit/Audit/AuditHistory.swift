import BackupRepository
import Crypto
import Foundation
import ObjectStorage

/// Holds what stands at the places against what the last audit saw there, and keeps what this one sees.
struct AuditHistory {
  let seen: [AuditJob.Seen]
  /// nil to keep nothing.
  let key: Curve25519.Signing.PrivateKey?
  let memory: URL?

  /// Audits that are looked at of each place.
  private static let most = 50

  private typealias Breach = AuditReport.Breach

  private func breach(_ what: String, _ mend: String) -> Breach { Breach(rule: .history, what: what, mend: mend) }

  struct Comparison {
    /// What does not fit.
    var breaches: [AuditReport.Breach] = []
    /// What may be known.
    var notes: [String] = []
    /// The newest audit that can be trusted.
    var last: SignedAudit?
    /// The number of the newest at each place.
    var ended: [String: Int] = [:]
  }

  func compare() async throws -> Comparison {
    var breaches: [Breach] = []
    var notes: [String] = []
    var ends: [(seen: AuditJob.Seen, last: SignedAudit?)] = []
    var all = [remembered].compactMap(\.self)
    for one in seen {
      // The repository's own look at its manifests.
      for problem in one.catalog.problems {
        breaches.append(breach("\(one.place.name): \(problem.error)", "milvault heal --at \(one.place.name)"))
      }
      let (audits, problems) = try await one.repository.audits(most: Self.most)
      for problem in problems { breaches.append(breach("\(one.place.name): \(problem)", Self.look(one))) }
      let trusted = audits.filter { isTrusted($0) }
      breaches += gaps(trusted, one)
      all += trusted
      if let stranger = audits.last(where: { !isTrusted($0) }) {
        breaches.append(
          breach(
            "\(one.place.name): audit \(stranger.entry.number) was signed by another key (\(Self.fingerprint(stranger.signer))): another machine audits, or somebody forged it",
            "give all that audit the same key (audit.keyFile in milvault.yaml); if none of them made it, treat \(one.place.name) as tampered with"
          ))
      }
      ends.append((one, trusted.last))
    }
    all.sort { ($0.entry.number, $0.entry.time) < ($1.entry.number, $1.entry.time) }
    guard let last = all.last else {
      notes.append("this is the first audit: from now on it shows when a history shrinks or a manifest changes")
      return Comparison(breaches: breaches, notes: notes)
    }
    for (one, end) in ends {
      guard let seen = all.last(where: { audit in audit.entry.places.contains { $0.name == one.place.name } }),
        let before = seen.entry.places.first(where: { $0.name == one.place.name })
      else {
        notes.append("\(one.place.name) takes part for the first time")
        continue
      }
      if (end?.entry.number ?? 0) < seen.entry.number {
        let what = end.map { "ends with audit \($0.entry.number)" } ?? "has no audit any more"
        breaches.append(
          breach(
            "\(one.place.name) \(what), and took part in audit \(seen.entry.number): it was set back to an earlier state", Self.look(one)))
      }
      try await compare(one, with: before, of: seen, &breaches, &notes)
    }
    let ended = ends.compactMap { one, end in end.map { (one.place.name, $0.entry.number) } }
    return Comparison(breaches: breaches, notes: notes, last: last, ended: Dictionary(ended, uniquingKeysWith: { $1 }))
  }

  /// Audits that a place had and has no more: what an audit found there as the newest, the one before it has to be. A loss that an audit told of is
  /// not told again.
  private func gaps(_ audits: [SignedAudit], _ one: AuditJob.Seen) -> [AuditReport.Breach] {
    zip(audits, audits.dropFirst()).compactMap { before, next in
      guard let ended = next.entry.places.first(where: { $0.name == one.place.name })?.ended, ended > before.entry.number else {
        return nil
      }
      return breach("\(one.place.name): audits \(before.entry.number + 1) to \(ended) are missing", Self.look(one))
    }
  }

  /// Each manifest that stood there stands there still, to the byte, or was forgotten.
  private func compare(
    _ one: AuditJob.Seen, with before: AuditEntry.Place, of last: SignedAudit, _ breaches: inout [AuditReport.Breach],
    _ notes: inout [String]
  ) async throws {
    let standing = Dictionary(one.catalog.entries.map { ($0.manifest.id, $0.sha256) }, uniquingKeysWith: { $1 })
    let hurt = Set(one.catalog.problems.map(\.backup))
    var forgotten = 0
    for link in before.manifests {
      if standing[link.id] == link.sha256 || (standing[link.id] == nil && hurt.contains(link.id)) { continue }
      if standing[link.id] != nil {
        breaches.append(
          breach(
            "\(one.place.name): the manifest of backup \(link.id) is another than at audit \(last.entry.number) (\(last.entry.time.text.prefix(16))), and manifests never change",
            Self.look(one)))
      } else if try await one.repository.isForgotten(link.id) {
        forgotten += 1
      } else {
        breaches.append(
          breach(
            "\(one.place.name): backup \(link.id) was there at audit \(last.entry.number) (\(last.entry.time.text.prefix(16))), and nobody forgot it",
            "milvault heal --at \(one.place.name)"))
      }
    }
    if forgotten > 0 { notes.append("\(one.place.name): \(forgotten) backups were forgotten since the last audit") }
  }

  private static func look(_ one: AuditJob.Seen) -> String {
    "see who can write to \(one.repository.store.location); milvault diff and milvault verify --all --at \(one.place.name) tell what is left"
  }

  /// Where the last audit of this repository is remembered.
  private var memoryFile: URL? { seen.first.flatMap { one in memory?.appendingPathComponent("\(one.repository.id).json") } }

  private var remembered: SignedAudit? {
    guard let memoryFile, let bytes = FileManager.default.contents(atPath: memoryFile.path) else { return nil }
    return (try? SignedAudit(bytes, place: memoryFile.path)).flatMap { isTrusted($0) ? $0 : nil }
  }

  private func isTrusted(_ audit: SignedAudit) -> Bool { key == nil || audit.signer == key?.publicKey.rawRepresentation }

  static func fingerprint(_ key: Data) -> String { SHA256.hash(data: key).prefix(6).map { String(format: "%02x", $0) }.joined() }

  /// Keeps this audit at every place.
  /// - Parameter ended: the newest audit that stands at each place.
  /// - Returns: its number; nil if none was to be kept.
  func keep(after last: SignedAudit?, _ ended: [String: Int], told notes: inout [String]) async throws -> Int? {
    guard let key, let repository = seen.first?.repository else { return nil }
    let entry = AuditEntry(
      after: last, repository: repository.id,
      places: seen.map { one in
        .init(
          name: one.place.name, location: one.repository.store.location,
          manifests: one.catalog.entries.map { ManifestLink(id: $0.manifest.id, sha256: $0.sha256) }, ended: ended[one.place.name])
      })
    let signed = try SignedAudit(entry, key: key)
    for one in seen {
      do {
        try await one.repository.put(signed)
      } catch let error as StorageError {
        notes.append("the audit could not be kept at \(one.place.name): \(error)")
      }
    }
    if let memory, let memoryFile {
      do {
        try FileManager.default.createDirectory(at: memory, withIntermediateDirectories: true)
        try signed.bytes.write(to: memoryFile, options: .atomic)
      } catch {
        notes.append("the audit could not be remembered here: \(error.localizedDescription)")
      }
    }
    return entry.number
  }
}
