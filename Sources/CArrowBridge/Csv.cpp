#include "CArrowBridge.h"
#include "Guarded.h"
#include "SourceFile.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/csv/api.h>

#include <deque>
#include <utility>

struct arrow_bridge_csv_reader {
  std::shared_ptr<arrow::csv::StreamingReader> reader;
  std::deque<std::pair<int64_t, int64_t>> invalid;  // rows with another number of cells than the header: their numbers and numbers of cells
};

char *arrow_bridge_csv_reader_open(arrow_bridge_source source, void *context, int64_t size, char separator,
                                   arrow_bridge_csv_reader **reader) {
  return guarded([&]() -> arrow::Status {
    auto made = std::make_unique<arrow_bridge_csv_reader>();
    auto *rows = made.get();
    auto read = arrow::csv::ReadOptions::Defaults();
    read.use_threads = false;
    read.block_size = 16 << 20;  // the largest row
    auto parse = arrow::csv::ParseOptions::Defaults();
    parse.delimiter = separator;
    parse.newlines_in_values = true;
    auto convert = arrow::csv::ConvertOptions::Defaults();
    convert.check_utf8 = false;  // so that the row with other bytes can be told
    convert.strings_can_be_null = true;
    convert.quoted_strings_can_be_null = false;
    convert.null_values = {""};
    // Twice: the types are told by the columns' names, which the first look finds.
    {
      auto file = std::make_shared<SourceFile>(source, context, size);
      auto quiet = parse;
      quiet.invalid_row_handler = [](const arrow::csv::InvalidRow &) { return arrow::csv::InvalidRowResult::Skip; };
      ARROW_ASSIGN_OR_RAISE(auto look,
                            arrow::csv::StreamingReader::Make(arrow::io::default_io_context(), file, read, quiet, convert));
      for (const auto &name : look->schema()->field_names()) convert.column_types[name] = arrow::utf8();
    }
    parse.invalid_row_handler = [rows](const arrow::csv::InvalidRow &row) {
      rows->invalid.emplace_back(row.number, row.actual_columns);
      return arrow::csv::InvalidRowResult::Skip;
    };
    auto file = std::make_shared<SourceFile>(source, context, size);
    ARROW_ASSIGN_OR_RAISE(made->reader, arrow::csv::StreamingReader::Make(arrow::io::default_io_context(), file, read, parse, convert));
    *reader = made.release();
    return arrow::Status::OK();
  });
}

char *arrow_bridge_csv_reader_schema(arrow_bridge_csv_reader *reader, struct ArrowSchema *schema) {
  return guarded([&]() { return arrow::ExportSchema(*reader->reader->schema(), schema); });
}

char *arrow_bridge_csv_reader_next(arrow_bridge_csv_reader *reader, struct ArrowArray *batch) {
  batch->release = nullptr;
  return guarded([&]() -> arrow::Status {
    std::shared_ptr<arrow::RecordBatch> rows;
    ARROW_RETURN_NOT_OK(reader->reader->ReadNext(&rows));
    return rows ? arrow::ExportRecordBatch(*rows, batch) : arrow::Status::OK();
  });
}

int64_t arrow_bridge_csv_reader_take_invalid(arrow_bridge_csv_reader *reader, int64_t *cells) {
  if (reader->invalid.empty()) return 0;
  auto row = reader->invalid.front();
  reader->invalid.pop_front();
  *cells = row.second;
  return row.first;
}

void arrow_bridge_csv_reader_free(arrow_bridge_csv_reader *reader) {
  free(guarded([&]() {
    delete reader;
    return arrow::Status::OK();
  }));
}
