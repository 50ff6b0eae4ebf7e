public import ArgumentParser
public import MilvaultKit

extension TranslationChoices.Loss: ExpressibleByArgument {}

/// What a user decides about what a target cannot hold.
struct TranslationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("What stands for nulls where the server has none; may be repeated.", valueName: "[collection.]field=value"))
  var fill: [String] = []

  @Option(help: ArgumentHelp("A field to leave out; may be repeated.", valueName: "[collection.]field"))
  var dropField: [String] = []

  @Option(
    help:
      "A loss to accept where the server has none: defaults (default values), functions (and the fields that they make), partitions (all in one)."
  )
  var accept: [TranslationChoices.Loss] = []

  func choices() throws -> TranslationChoices {
    var choices = TranslationChoices()
    for text in fill {
      guard choices.fill(text) else { throw ValidationError("--fill takes FIELD=VALUE, not \"\(text)\"") }
    }
    choices.dropped = dropField.map { TranslationChoices.Field($0) }
    choices.accepted = Set(accept)
    return choices
  }

  var isEmpty: Bool { fill.isEmpty && dropField.isEmpty && accept.isEmpty }
}
