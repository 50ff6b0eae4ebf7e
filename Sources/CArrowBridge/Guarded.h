// Arrow and Parquet throw here and there; nothing may be thrown into Swift.
#pragma once

#include <arrow/status.h>

#include <exception>

template <typename Body>
arrow::Status guarded_status(Body body) {
  try {
    return body();
  } catch (const std::exception &error) {
    return arrow::Status::UnknownError(error.what());
  } catch (...) {
    return arrow::Status::UnknownError("unknown C++ exception");
  }
}
