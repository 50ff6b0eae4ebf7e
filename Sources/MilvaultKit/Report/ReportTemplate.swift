/// The page's HTML. All that is shown stands in `ReportPage`.
enum ReportTemplate {
  static let page = """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>{{title}}: {{verdict}}</title>
    <style>
    :root { --back: #ffffff; --card: #f6f7f9; --line: #d5d9e0; --text: #1c2129; --soft: #5a6472; --good: #1a7f4b; --bad: #c0262d; --open: #9a6a00;
      --import: #2f6db5; --index: #c9772b; --load: #5b8f3a; --verify: #7d55a8; --search: #b5466a; }
    @media (prefers-color-scheme: dark) { :root { --back: #14171c; --card: #1d2128; --line: #3a414d; --text: #e7eaef; --soft: #a3adbb; --good: #4cc38a;
      --bad: #ff6b70; --open: #e0ab45; --import: #6ea6ea; --index: #eba25e; --load: #8cc368; --verify: #b692de; --search: #e67f9f; } }
    * { box-sizing: border-box; }
    body { margin: 0 auto; max-width: 960px; padding: 28px 20px 48px; background: var(--back); color: var(--text);
      font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; }
    h1 { font-size: 1.15rem; margin: 0; color: var(--soft); font-weight: 600; }
    h2 { font-size: 1.3rem; margin: 2.2rem 0 .6rem; overflow-wrap: anywhere; }
    h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
    h4 { font-size: 1rem; margin: 1.1rem 0 .3rem; overflow-wrap: anywhere; }
    p { margin: .35rem 0; overflow-wrap: anywhere; }
    .verdict { font-size: 2rem; font-weight: 700; margin: .2rem 0; line-height: 1.2; }
    .badge { display: inline-block; border: 2px solid currentColor; border-radius: 6px; padding: .1rem .5rem; font-weight: 700; font-size: .95rem; }
    .good { color: var(--good); } .bad { color: var(--bad); } .open { color: var(--open); }
    .soft { color: var(--soft); font-size: .9rem; }
    .bar { height: 8px; border-radius: 4px; background: currentColor; margin: .6rem 0 1rem; }
    dl { display: grid; grid-template-columns: 8.5rem 1fr; gap: .25rem 1rem; margin: .8rem 0; }
    dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
    .card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1.1rem; margin: .8rem 0; break-inside: avoid; }
    .card h4:first-child { margin-top: 0; }
    code { font: .82rem/1.4 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
    .stages { display: flex; height: 26px; border-radius: 4px; overflow: hidden; margin: .5rem 0 .3rem; background: var(--line); }
    .stages span { display: block; min-width: 2px; }
    .key { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .9rem; margin: 0; padding: 0; list-style: none; }
    .key i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .35rem; vertical-align: -1px; }
    .import { background: var(--import); } .index { background: var(--index); } .load { background: var(--load); }
    .verify { background: var(--verify); } .search { background: var(--search); }
    .plot { width: 100%; max-width: 560px; height: auto; display: block; margin: .4rem 0; }
    .plot text { fill: var(--soft); font-size: 11px; } .plot .grid { stroke: var(--line); } .plot .area { fill: var(--import); opacity: .18; }
    .plot .curve { fill: none; stroke: var(--import); stroke-width: 2.5; } .plot line.wanted { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 6 4; }
    .plot text.wanted { fill: var(--bad); } .plot line.source { stroke: var(--load); stroke-width: 1.5; stroke-dasharray: 2 3; } .plot text.source { fill: var(--load); }
    ul.plain { margin: .3rem 0; padding-left: 1.2rem; overflow-wrap: anywhere; }
    table { width: 100%; border-collapse: collapse; font-size: .92rem; }
    th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
    th { color: var(--soft); font-weight: 600; }
    footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .8rem; }
    @media (max-width: 620px) {
      body { padding: 18px 14px 36px; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .45rem; }
      table, tbody, tr, td { display: block; } thead { display: none; } tr { border-bottom: 1px solid var(--line); padding: .4rem 0; }
      td { border: 0; padding: .05rem 0; } td::before { content: attr(data-name) " "; color: var(--soft); }
    }
    @media print {
      :root { --back: #fff; --card: #fff; --line: #bbb; --text: #000; --soft: #444; --good: #1a7f4b; --bad: #c0262d; --open: #9a6a00;
        --import: #2f6db5; --index: #c9772b; --load: #5b8f3a; --verify: #7d55a8; --search: #b5466a; }
      body { max-width: none; padding: 0; font-size: 11pt; } h2, h3 { break-after: avoid; }
      * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
    }
    </style>
    </head>
    <body>
    <header id="head">
    <h1>{{title}}</h1>
    <p class="verdict {{tone}}" id="verdict">{{verdict}}</p>
    <div class="bar {{tone}}"></div>
    <p class="soft">Made {{made}} by {{tool}} from the repository {{place}} (id {{repositoryID}}).</p>
    </header>
    {{#hasProblems}}
    <section id="problems"><h3 class="bad">The repository itself</h3><ul class="plain">{{#problems}}<li>{{.}}</li>{{/problems}}</ul></section>
    {{/hasProblems}}
    {{#backups}}
    <section class="backup">
    <h2>Backup {{id}}{{name}}</h2>
    <p><span class="badge {{tone}}">{{verdict}}</span></p>
    <dl class="facts">{{#facts}}<dt>{{name}}</dt><dd>{{value}}</dd>{{/facts}}</dl>
    {{#hasFindings}}
    <h3 class="bad">Damage</h3>
    <ul class="plain findings">{{#findings}}<li>{{.}}</li>{{/findings}}</ul>
    {{#hasLost}}<p>What it comes to:</p><ul class="plain">{{#lost}}<li>{{.}}</li>{{/lost}}</ul>{{/hasLost}}
    <p>{{sharedBy}}</p>
    {{/hasFindings}}
    <h3>What was proven</h3>
    {{#hasDrill}}<p class="soft">A drill restores collections into scratch collections of a running Milvus, reads every row back, and compares it with what
    was sent, whose digest is that taken when it was backed up, or of its translation where one is told; then it searches, and removes them again.{{sample}}</p>{{/hasDrill}}
    {{#collections}}
    <div class="card">
    <h4>{{name}}</h4>
    <dl><dt>Rows</dt><dd>{{rows}}, taken {{guarantee}}</dd><dt>Files</dt><dd>{{files}}</dd><dt>Drill</dt><dd class="{{tone}}">{{drill}}</dd>
    <dt>Content digest</dt><dd><code>{{content}}</code></dd></dl>
    {{#hasWhy}}<p class="{{tone}}">{{why}}</p>{{/hasWhy}}
    {{#hasStages}}
    <div class="stages">{{#stages}}<span class="{{name}}" style="width:{{width}}%"></span>{{/stages}}</div>
    <ul class="key">{{#stages}}<li><i class="{{name}}"></i>{{name}} {{seconds}}</li>{{/stages}}</ul>
    {{/hasStages}}
    {{#hasIndexes}}<p class="soft">{{#indexes}}{{.}}. {{/indexes}}</p>{{/hasIndexes}}
    {{#hasTranslations}}<ul class="plain soft">{{#translations}}<li>translated: {{.}}</li>{{/translations}}</ul>{{/hasTranslations}}
    {{#hasNotes}}<ul class="plain soft">{{#notes}}<li>{{.}}</li>{{/notes}}</ul>{{/hasNotes}}
    {{#searches}}
    <h4>Searches of {{title}}</h4>
    <p class="{{tone}}">{{words}}</p>
    {{{plot}}}
    {{/searches}}
    </div>
    {{/collections}}
    {{#hasHistory}}
    <h3>The last verifications of this deployment</h3>
    <table class="history"><thead><tr><th>When</th><th>Backup</th><th>Level</th><th>Result</th><th>Where</th><th>Took</th></tr></thead>
    <tbody>{{#history}}<tr><td data-name="When">{{time}}</td><td data-name="Backup">{{backup}}</td><td data-name="Level">{{level}}</td>
    <td data-name="Result" class="{{tone}}">{{result}}</td><td data-name="Where">{{place}}</td><td data-name="Took">{{took}}</td></tr>{{/history}}</tbody></table>
    {{/hasHistory}}
    {{^isRecorded}}<p class="bad">The repository did not take a record of this verification: {{unrecorded}}</p>{{/isRecorded}}
    {{#isRecorded}}<p class="soft">The record of this verification is <code>{{record}}</code> in the repository. <code>head -n -2 FILE | sha256sum</code> gives the digest that it
    ends with, and so it does for the manifest.</p>{{/isRecorded}}
    </section>
    {{/backups}}
    <footer class="soft">Taken fuzzy: rows were read while writes may have gone on, so that they need not all be of one moment. A content digest is the sum of the SHA-256 digests of all rows. It finds accidents; it does not stop a forger.</footer>
    </body>
    </html>

    """
}
