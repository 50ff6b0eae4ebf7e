package import RowBatches

/// Reads the rows of one or more files, a batch at a time. One task uses it.
package protocol RowFileReader {
  /// The next rows, or nil at the end.
  /// - Throws: what is wrong, without the file's name.
  mutating func next() throws -> RowBatch?
}
