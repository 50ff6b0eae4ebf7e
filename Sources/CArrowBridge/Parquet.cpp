#include "CArrowBridge.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/io/interfaces.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/properties.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "Guarded.h"

namespace {

template <typename Body>
char *guarded(Body body) {
  arrow::Status status = guarded_status(body);
  if (status.ok()) return nullptr;
  return strdup((status.IsUnknownError() ? status.message() : status.ToString()).c_str());
}

class SinkStream : public arrow::io::OutputStream {
 public:
  SinkStream(arrow_bridge_sink sink, void *context) : sink_(sink), context_(context) {}
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Write(const void *data, int64_t nbytes) override {
    if (nbytes == 0) return arrow::Status::OK();
    if (sink_(context_, static_cast<const uint8_t *>(data), nbytes) != 0) return arrow::Status::IOError("the sink refused bytes");
    position_ += nbytes;
    return arrow::Status::OK();
  }
  using arrow::io::OutputStream::Write;

 private:
  arrow_bridge_sink sink_;
  void *context_;
  int64_t position_ = 0;
  bool closed_ = false;
};

class SourceFile : public arrow::io::RandomAccessFile {
 public:
  SourceFile(arrow_bridge_source source, void *context, int64_t size) : source_(source), context_(context), size_(size) {}
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Seek(int64_t position) override {
    position_ = position;
    return arrow::Status::OK();
  }
  arrow::Result<int64_t> GetSize() override { return size_; }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t nbytes, void *out) override {
    if (position < 0 || nbytes < 0 || position > size_) return arrow::Status::IOError("read outside the file");
    int64_t count = source_(context_, position, std::min(nbytes, size_ - position), static_cast<uint8_t *>(out));
    if (count < 0) return arrow::Status::IOError("the source could not be read");
    return count;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t nbytes) override {
    if (position < 0 || nbytes < 0 || position > size_) return arrow::Status::IOError("read outside the file");
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(std::min(nbytes, size_ - position)));
    ARROW_ASSIGN_OR_RAISE(int64_t count, ReadAt(position, nbytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(count, false));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }
  arrow::Result<int64_t> Read(int64_t nbytes, void *out) override {
    ARROW_ASSIGN_OR_RAISE(int64_t count, ReadAt(position_, nbytes, out));
    position_ += count;
    return count;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, nbytes));
    position_ += buffer->size();
    return buffer;
  }

 private:
  arrow_bridge_source source_;
  void *context_;
  int64_t size_;
  int64_t position_ = 0;
  bool closed_ = false;
};

// Rows to decode at a time: about 8 MiB of them, however wide they are.
int64_t batch_rows(const parquet::FileMetaData &metadata) {
  int64_t bytes = 0;
  for (int i = 0; i < metadata.num_row_groups(); ++i) bytes += std::max<int64_t>(0, metadata.RowGroup(i)->total_byte_size());
  int64_t width = std::max<int64_t>(1, bytes / std::max<int64_t>(1, metadata.num_rows()));
  return std::clamp<int64_t>((int64_t{8} << 20) / width, 16, 65536);
}

}  // namespace

struct arrow_bridge_parquet_writer {
  std::shared_ptr<SinkStream> stream;
  std::shared_ptr<arrow::Schema> schema;
  std::unique_ptr<parquet::arrow::FileWriter> writer;
};

struct arrow_bridge_parquet_reader {
  std::unique_ptr<parquet::arrow::FileReader> reader;
  std::unique_ptr<arrow::RecordBatchReader> batches;
  std::shared_ptr<arrow::RecordBatch> pending;  // what a batch larger than asked for left over
  int64_t rows = 0;
};

char *arrow_bridge_parquet_writer_open(struct ArrowSchema *schema, const char *const *stored_plain, arrow_bridge_sink sink,
                                       void *context, arrow_bridge_parquet_writer **writer) {
  return guarded([&]() -> arrow::Status {
    auto made = std::make_unique<arrow_bridge_parquet_writer>();
    ARROW_ASSIGN_OR_RAISE(made->schema, arrow::ImportSchema(schema));
    made->stream = std::make_shared<SinkStream>(sink, context);
    parquet::WriterProperties::Builder properties;
    properties.version(parquet::ParquetVersion::PARQUET_2_6)
        ->data_page_version(parquet::ParquetDataPageVersion::V1)
        ->compression(arrow::Compression::ZSTD)  // at its default level, 1
        ->max_row_group_length(INT64_MAX)
        ->enable_page_checksum();
    for (const char *const *path = stored_plain; *path != nullptr; ++path) {
      properties.compression(std::string(*path), arrow::Compression::UNCOMPRESSED)
          ->disable_dictionary(std::string(*path))
          ->disable_statistics(std::string(*path));
    }
    // The Arrow schema is not stored: what the file means is told by Parquet's own types, the same for every reader.
    auto arrow_properties = parquet::ArrowWriterProperties::Builder().build();
    ARROW_ASSIGN_OR_RAISE(made->writer, parquet::arrow::FileWriter::Open(*made->schema, arrow::default_memory_pool(), made->stream,
                                                                         properties.build(), arrow_properties));
    *writer = made.release();
    return arrow::Status::OK();
  });
}

char *arrow_bridge_parquet_writer_write(arrow_bridge_parquet_writer *writer, struct ArrowArray *batch) {
  return guarded([&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto rows, arrow::ImportRecordBatch(batch, writer->schema));
    ARROW_ASSIGN_OR_RAISE(auto table, arrow::Table::FromRecordBatches(writer->schema, {rows}));
    return writer->writer->WriteTable(*table, std::max<int64_t>(1, table->num_rows()));
  });
}

char *arrow_bridge_parquet_writer_close(arrow_bridge_parquet_writer *writer) {
  return guarded([&]() { return writer->writer->Close(); });
}

void arrow_bridge_parquet_writer_free(arrow_bridge_parquet_writer *writer) {
  free(guarded([&]() {
    delete writer;
    return arrow::Status::OK();
  }));
}

char *arrow_bridge_parquet_reader_open(arrow_bridge_source source, void *context, int64_t size, bool large_groups,
                                       arrow_bridge_parquet_reader **reader) {
  return guarded([&]() -> arrow::Status {
    auto made = std::make_unique<arrow_bridge_parquet_reader>();
    auto properties = parquet::default_reader_properties();
    properties.set_page_checksum_verification(true);
    if (large_groups) {
      properties.enable_buffered_stream();
      properties.set_buffer_size(1 << 20);
    }
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(std::make_shared<SourceFile>(source, context, size), properties));
    auto arrow_properties = parquet::default_arrow_reader_properties();
    arrow_properties.set_pre_buffer(false);
    arrow_properties.set_use_threads(false);
    int64_t rows = batch_rows(*builder.raw_reader()->metadata());
    // Values that repeat take next to nothing in a file, and all their room in memory.
    arrow_properties.set_batch_size(large_groups ? std::min<int64_t>(rows, 4096) : rows);
    arrow_properties.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
    ARROW_RETURN_NOT_OK(builder.memory_pool(arrow::default_memory_pool())->properties(arrow_properties)->Build(&made->reader));
    made->rows = made->reader->parquet_reader()->metadata()->num_rows();
    ARROW_ASSIGN_OR_RAISE(made->batches, made->reader->GetRecordBatchReader());
    *reader = made.release();
    return arrow::Status::OK();
  });
}

int64_t arrow_bridge_parquet_reader_rows(const arrow_bridge_parquet_reader *reader) { return reader->rows; }

char *arrow_bridge_parquet_reader_schema(arrow_bridge_parquet_reader *reader, struct ArrowSchema *schema) {
  return guarded([&]() -> arrow::Status {
    std::shared_ptr<arrow::Schema> found;
    ARROW_RETURN_NOT_OK(reader->reader->GetSchema(&found));
    return arrow::ExportSchema(*found, schema);
  });
}

char *arrow_bridge_parquet_reader_next(arrow_bridge_parquet_reader *reader, int64_t max_rows, struct ArrowArray *batch) {
  batch->release = nullptr;
  return guarded([&]() -> arrow::Status {
    if (!reader->pending || reader->pending->num_rows() == 0) {
      ARROW_RETURN_NOT_OK(reader->batches->ReadNext(&reader->pending));
      if (!reader->pending) return arrow::Status::OK();
    }
    auto part = reader->pending->Slice(0, max_rows);
    reader->pending = reader->pending->Slice(part->num_rows());
    return arrow::ExportRecordBatch(*part, batch);
  });
}

void arrow_bridge_parquet_reader_free(arrow_bridge_parquet_reader *reader) {
  free(guarded([&]() {
    delete reader;
    return arrow::Status::OK();
  }));
}
