import BackupRepository
import Crypto
import Foundation
import ObjectStorage

/// Holds what stands at the places against what the last audits saw there, and keeps what this one sees.
struct AuditHistory {
  let seen: [AuditJob.Seen]
  let options: AuditOptions
  /// The address of the repository, by which this machine remembers it.
  let repository: String

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
    /// Audits that are damaged, missing or a stranger's, by file, and those of which somebody said that it is so.
    var unsettled: [String: [AuditReport.Breach]] = [:]
    var settled: Set<String> = []
    /// Whether all audits that there are were signed by others.
    var isStrange = false
    /// Manifests of each place that went or changed and nobody explained.
    var unexplained: [String: [ManifestLink]] = [:]
  }

  func compare() async throws -> Comparison {
    var found = Comparison()
    var all = [try remembered()].compactMap(\.self)
    if let known = all.first, let id = seen.first?.repository.id, known.entry.repository != id {
      found.breaches.append(
        breach(
          "\(repository) is another repository (\(id.prefix(8))) than at audit \(known.entry.number) (\(known.entry.repository.prefix(8)))",
          "if you made a new one there, say so once by milvault audit --accept"))
      all = []
    }
    for one in seen {
      // The place's own look at itself.
      for error in one.catalog.problems.map(\.error) + one.losses {
        found.breaches.append(breach("\(one.place.name): \(error)", "milvault heal --at \(one.place.name)"))
      }
      let (audits, problems) = try await one.repository.audits(most: Self.most)
      for problem in problems {
        found.unsettled[problem.file, default: []].append(breach("\(one.place.name): \(problem.error)", Self.look(one)))
      }
      let trusted = audits.filter(isTrusted)
      for gap in gaps(trusted, one) { found.unsettled[gap.name, default: []].append(gap.breach) }
      found.ended[one.place.name] = trusted.last?.entry.number
      all += trusted
      for stranger in audits where !isTrusted(stranger) {
        found.unsettled[stranger.key, default: []].append(
          breach(
            "\(one.place.name): audit \(stranger.entry.number) was signed by another key (\(Self.fingerprint(stranger.signer))): another machine audits, or somebody forged it",
            "give all that audit the same key (audit.keyFile in milvault.yaml); if it is yours and lost, milvault audit --accept; if none of you made it, treat \(one.place.name) as tampered with"
          ))
      }
    }
    let settled = Set(all.flatMap { $0.entry.settled ?? [] })
    found.settled = settled.union(options.accepts ? Array(found.unsettled.keys) : [])
    found.unsettled = found.unsettled.filter { !settled.contains($0.key) }
    found.breaches += found.unsettled.sorted { $0.key < $1.key }.flatMap(\.value)
    // An audit with a key of its own would begin another chain beside the one that is there.
    found.isStrange = all.isEmpty && !found.unsettled.isEmpty
    all.sort { ($0.entry.number, $0.entry.time) < ($1.entry.number, $1.entry.time) }
    found.last = all.last
    guard !all.isEmpty else {
      if found.breaches.isEmpty {
        found.notes.append("this is the first audit: from now on it shows when a history shrinks or a manifest changes")
      }
      return found
    }
    for one in seen { try await compare(one, with: all, &found) }
    return found
  }

  /// A place with the newest audit that it took part in.
  private func compare(_ one: AuditJob.Seen, with all: [SignedAudit], _ found: inout Comparison) async throws {
    let name = one.place.name
    guard let audit = all.last(where: { audit in audit.entry.places.contains { $0.name == name } }),
      let before = audit.entry.places.first(where: { $0.name == name })
    else {
      found.notes.append("\(name) takes part for the first time")
      return
    }
    let ended = found.ended[name] ?? 0
    if ended < before.ended ?? 0 {
      let what = ended == 0 ? "has no audit any more" : "ends with audit \(ended)"
      found.breaches.append(
        breach(
          "\(name) \(what), and audit \(audit.entry.number) found number \(before.ended ?? 0) there: it was set back to an earlier state",
          Self.look(one)))
    } else if ended < audit.entry.number {
      found.breaches.append(
        breach(
          "\(name) does not have audit \(audit.entry.number): it was removed, or could not be kept there, as that audit said then",
          Self.look(one)))
    }
    let when = "at audit \(audit.entry.number) (\(audit.entry.time.text.prefix(16)))"
    let standing = Dictionary(one.catalog.entries.map { ($0.manifest.id, $0.sha256) }, uniquingKeysWith: { $1 })
    let hurt = Set(one.catalog.problems.map(\.backup))
    var forgotten: [String] = []
    for link in before.manifests where standing[link.id] != link.sha256 {
      if standing[link.id] == nil {
        if try await one.repository.isForgotten(link) {
          forgotten.append(link.id)
          continue
        }
        // Damage was told above.
        if !hurt.contains(link.id) {
          found.breaches.append(
            breach("\(name): backup \(link.id) was there \(when), and nobody forgot it", "milvault heal --at \(name)"))
        }
      } else {
        found.breaches.append(
          breach("\(name): the manifest of backup \(link.id) is another than \(when), and manifests never change", Self.look(one)))
      }
      found.unexplained[name, default: []].append(link)
    }
    if let newest = before.manifests.map(\.id).max(), forgotten.contains(newest), (standing.keys.max() ?? "") < newest {
      found.breaches.append(
        breach(
          "\(name): the newest backup, \(newest), was forgotten since the last audit",
          "milvault undelete \(newest) --at \(name), if it was not you"))
    }
    if !forgotten.isEmpty {
      let ids = forgotten.sorted().prefix(10).joined(separator: ", ")
      found.notes.append(
        "\(name): \(forgotten.count) backups were forgotten since the last audit: \(ids)\(forgotten.count > 10 ? ", …" : "")")
    }
  }

  /// Audits that a place had and has no more: what an audit found there as the newest, the one before it has to be. A loss that an audit told of is
  /// not told again.
  private func gaps(_ audits: [SignedAudit], _ one: AuditJob.Seen) -> [(name: String, breach: AuditReport.Breach)] {
    zip(audits, audits.dropFirst()).compactMap { before, next in
      guard let ended = next.entry.places.first(where: { $0.name == one.place.name })?.ended, ended > before.entry.number,
        next.entry.number > before.entry.number
      else { return nil }
      let what = "\(one.place.name): audits \(before.entry.number + 1) to \(ended) are missing"
      return ("\(one.place.name) before \(next.key)", breach(what, Self.look(one)))
    }
  }

  private static func look(_ one: AuditJob.Seen) -> String {
    "see who can write to \(one.repository.store.location); milvault verify --all --at \(one.place.name) tells what is left. If it was you: milvault audit --accept"
  }

  private func isTrusted(_ audit: SignedAudit) -> Bool { options.key == nil || audit.signer == options.key?.publicKey.rawRepresentation }

  static func fingerprint(_ key: Data) -> String { SHA256.hash(data: key).prefix(6).map { String(format: "%02x", $0) }.joined() }

  // MARK: What is kept

  /// Where the last audit of this repository is remembered: by its address, so that another one there is seen.
  private var memoryFile: URL? {
    let name = SHA256.hash(data: Data(repository.utf8)).prefix(8).map { String(format: "%02x", $0) }.joined()
    return options.memory?.appendingPathComponent("\(name).json")
  }

  private func remembered() throws -> SignedAudit? {
    guard let memoryFile, FileManager.default.fileExists(atPath: memoryFile.path) else { return nil }
    let bytes = try Data(contentsOf: memoryFile)
    return (try? SignedAudit(bytes, place: memoryFile.path)).flatMap { isTrusted($0) ? $0 : nil }
  }

  /// Keeps this audit at every place, and here.
  /// - Returns: its number; nil if none was to be kept.
  func keep(_ found: Comparison, told notes: inout [String]) async throws -> Int? {
    guard options.isKept, let key = options.key, let id = seen.first?.repository.id else { return nil }
    guard !found.isStrange || options.accepts else {
      notes.append("this audit was not kept: all that are there were signed by another key, and it would begin another chain beside them")
      return nil
    }
    // What nobody explained is asked for again by the next audit.
    let entry = AuditEntry(
      after: found.last, repository: id,
      places: seen.map { one in
        let carried = options.accepts ? [] : found.unexplained[one.place.name] ?? []
        let standing = one.catalog.entries.map { ManifestLink(id: $0.manifest.id, sha256: $0.sha256) }
        return .init(
          name: one.place.name, location: one.repository.store.location,
          manifests: standing.filter { link in !carried.contains { $0.id == link.id } } + carried, ended: found.ended[one.place.name])
      }, settled: found.settled.sorted())
    let signed = try SignedAudit(entry, key: key)
    for one in seen {
      do {
        try await one.repository.put(signed)
      } catch let error as StorageError {
        notes.append("the audit could not be kept at \(one.place.name): \(error)")
      }
    }
    if let memory = options.memory, let memoryFile {
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
