#ifndef SOURCE_FILE_H
#define SOURCE_FILE_H

#include "CArrowBridge.h"

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <algorithm>
#include <memory>

// A file whose bytes come from a function.
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

#endif
