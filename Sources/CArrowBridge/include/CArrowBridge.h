// A small C interface over Apache Arrow C++.
#ifndef C_ARROW_BRIDGE_H
#define C_ARROW_BRIDGE_H

#include "FileSystem.h"
#include "Parquet.h"

#endif
