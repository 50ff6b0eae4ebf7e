import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// The page that a person can hand on, looked at in a real browser; and the webhook that is told.
  @Suite struct Reports {
    /// What Tests/Support/browser.py saw.
    private struct Seen: Decodable {
      struct View: Decodable {
        let parts: [String: [String]]
        let wide: Int
        let width: Int
        let drawn: [String: Double]
        let back: [Int]
        let corner: [Int]
      }
      struct Paper: Decodable {
        let isPDF: Bool
        let pages: Int
      }
      let wide: View
      let phone: View
      let paper: Paper
    }

    private func look(at page: String, _ scratch: Scratch) async throws -> Seen {
      guard FileManager.default.isExecutableFile(atPath: "/usr/bin/chromium") else {
        print("SKIPPED the browser: there is no chromium")
        try Test.cancel("there is no chromium")
      }
      let folder = scratch.path("browser-\(UUID().uuidString.prefix(6))")
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      let python = EmbeddedInstallation.defaultHome.appendingPathComponent("readers/bin/python")
      let finished = try await run(python, [Project.support.appendingPathComponent("browser.py").path, page, folder])
      try #require(finished.exitCode == 0, "\(finished)")
      return try JSONDecoder().decode(Seen.self, from: Data(finished.output.utf8))
    }

    @Test func aReportIsWholeOnAScreenAPhoneAndPaper() async throws {
      let filled = try await Filled("uniform_small", on: .lite3)
      let backup = try await filled.backup("--golden", "12", "--name", "monday")
      #expect(backup.exitCode == 0, "\(backup)")
      // A folder's name must not become part of the page's HTML.
      let odd = filled.scratch.path("<b>odd & folder")
      try FileManager.default.copyItem(atPath: filled.repository, toPath: odd)
      let page = filled.scratch.path("proof.html")
      let drill = try await milvault(
        "verify", "monday", "--repo", odd, "--level", "restore", "--uri", filled.server.uri, "--report", page, folder: filled.scratch.folder
      )
      #expect(drill.exitCode == 0 && drill.errors.contains("wrote \(page)"), "\(drill)")
      let html = try String(contentsOfFile: page, encoding: .utf8)
      #expect(!html.contains("<b>odd") && html.contains("&lt;b&gt;odd &amp; folder"))
      // It needs nothing else.
      #expect(!html.contains("src=") && !html.contains("href=") && !html.contains("<script") && !html.contains("url("))
      let seen = try await look(at: page, filled.scratch)
      for view in [seen.wide, seen.phone] {
        #expect(view.parts["#verdict"] == ["Proven by a drill"])
        for part in [".facts", ".card", ".stages", ".key", ".plot", "table.history", "footer"] {
          #expect(view.parts[part]?.isEmpty == false, "\(part) is missing")
        }
        #expect(view.parts[".card"]?.first?.contains(filled.name) == true && view.parts[".card"]?.count == 1)
        #expect(view.parts[".key"]?.first?.contains("import") == true)
        #expect(view.parts["table.history"]?.first?.contains("restore") == true)
        #expect(view.wide == 0, "\(view.wide) parts reach beyond a page of \(view.width)")
        for (part, least) in [("#verdict", 0.01), (".bar", 0.5), (".badge", 0.02), (".stages .verify", 0.3), (".plot .curve", 0.1)] {
          #expect(view.drawn[part] ?? 0 > least, "\(part) is not drawn: \(view.drawn)")
        }
        #expect(view.corner == view.back)
      }
      #expect(seen.wide.width == 1280 && seen.phone.width <= 520)
      #expect(seen.wide.back.allSatisfy { $0 > 240 } && seen.phone.back.allSatisfy { $0 < 40 }, "light and dark")
      #expect(seen.paper.isPDF && seen.paper.pages >= 1 && seen.paper.pages <= 4)

      // Damage stands in it too.
      let data = URL(fileURLWithPath: "\(odd)/data")
      let rows = try #require(try FileManager.default.subpathsOfDirectory(atPath: data.path).first { $0.hasSuffix("rows.parquet") })
      try Data("gone".utf8).write(to: data.appendingPathComponent(rows))
      let damaged = try await milvault("verify", "--all", "--repo", odd, "--report", page, folder: filled.scratch.folder)
      #expect(damaged.exitCode == 2, "\(damaged)")
      let again = try await look(at: page, filled.scratch)
      #expect(again.wide.parts["#verdict"] == ["DAMAGED"] && again.wide.parts[".findings"]?.first?.contains("rows.parquet") == true)
      let nowhere = try await milvault(
        "verify", "--repo", filled.repository, "--report", "/no/such/folder/x.html", folder: filled.scratch.folder)
      #expect(nowhere.exitCode == 64 && nowhere.errors.contains("/no/such/folder"), "\(nowhere)")
      try await filled.drop()
    }

    /// A webhook is told of failures too, is tried again, and never changes the result.
    @Test func aWebhookIsTold() async throws {
      let filled = try await Filled("uniform_small", on: .lite3)
      let hook = try Hook(answers: [503, 429, 200, 200, 404])
      let backup = try await filled.backup("--notify-url", "\(hook.url)/secret", "--golden", "5")
      #expect(backup.exitCode == 0 && !backup.errors.contains("not posted"), "\(backup)")
      let posts = try hook.posts()
      #expect(posts.count == 3 && posts[0] == posts[2])
      #expect(posts[2].run.verb == "backup" && posts[2].run.outcome == "done" && posts[2].checks.first?.level == "rows", "\(posts[2])")
      #expect(posts[2].summary.contains("1 000 rows: verified"), "\(posts[2])")
      let failed = try await filled.backup("--collection", "no_such", "--notify-url", "\(hook.url)/secret")
      #expect(failed.exitCode == 1, "\(failed)")
      let last = try #require(try hook.posts().last)
      #expect(last.run.outcome == "failed" && last.run.error?.contains("no_such") == true && last.checks.isEmpty, "\(last)")
      // Refused for good, and nobody there: said without the secret, and the proof stands.
      let refused = try await filled.milvault("verify", "--notify-url", "\(hook.url)/secret")
      #expect(refused.exitCode == 0 && refused.errors.contains("status 404") && refused.errors.contains("tried 1 times"), "\(refused)")
      #expect(refused.output.contains("1 of 1 backups proven") && !refused.errors.contains("secret"), "\(refused)")
      let bad = try await filled.milvault("verify", "--notify-url", "ftp://x")
      #expect(bad.exitCode == 64, "\(bad)")
      try await filled.drop()
    }
  }
}

/// A web server that keeps what is posted to it.
private final class Hook {
  struct Post: Decodable, Equatable {
    struct Run: Decodable, Equatable {
      let verb: String
      let outcome: String
      let error: String?
    }
    struct Check: Decodable, Equatable { let level: String }
    let summary: String
    let run: Run
    let checks: [Check]
  }

  private static let program = """
    import http.server, os, sys, threading, time
    answers = [int(a) for a in sys.argv[2].split(",")]
    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with open(sys.argv[1], "ab") as file:
                file.write(body + b"\\n")
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        def log_message(self, *_): pass
    server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    parent = os.getppid()
    while os.getppid() == parent:  # it ends with the tests
        time.sleep(0.5)
    """

  let url: String
  private let process = Process()
  private let file: URL

  init(answers: [Int]) throws {
    file = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString).posts")
    process.executableURL = URL(fileURLWithPath: EmbeddedInstallation(.lite3).python)
    process.arguments = ["-c", Self.program, file.path, answers.map(String.init).joined(separator: ",")]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    guard let line = try output.fileHandleForReading.read(upToCount: 6),
      let port = Int(String(decoding: line, as: UTF8.self).filter(\.isNumber))
    else { throw TestFailure("the web server did not start") }
    url = "http://127.0.0.1:\(port)"
  }

  deinit {
    kill(process.processIdentifier, SIGKILL)
    try? FileManager.default.removeItem(at: file)
  }

  func posts() throws -> [Post] {
    try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { try JSONDecoder().decode(Post.self, from: Data($0.utf8)) }
  }
}
