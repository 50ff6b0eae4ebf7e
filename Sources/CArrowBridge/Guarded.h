#ifndef GUARDED_H
#define GUARDED_H

#include <arrow/status.h>

#include <cstring>
#include <exception>

// Arrow's own code throws in places; nothing may be thrown into Swift.
template <typename Body>
char *guarded(Body body) {
  try {
    arrow::Status status = body();
    return status.ok() ? nullptr : strdup(status.ToString().c_str());
  } catch (const std::exception &error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("unknown C++ exception");
  }
}

#endif
