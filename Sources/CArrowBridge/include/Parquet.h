// Parquet files, written and read through the Arrow C data interface.
//
// Every function that can fail returns NULL, or a message that the caller frees with free().
#ifndef C_ARROW_BRIDGE_PARQUET_H
#define C_ARROW_BRIDGE_PARQUET_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The Arrow C data interface (https://arrow.apache.org/docs/format/CDataInterface.html).
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_NULLABLE 2
struct ArrowSchema {
  const char *format;
  const char *name;
  const char *metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema **children;
  struct ArrowSchema *dictionary;
  void (*release)(struct ArrowSchema *);
  void *private_data;
};
struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  struct ArrowArray **children;
  struct ArrowArray *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};
#endif

// Where a writer puts its bytes. Returns 0, or anything else to stop the writer.
typedef int (*arrow_bridge_sink)(void *context, const uint8_t *bytes, int64_t count);
// Where a reader gets its bytes. Returns how many of `count` it gave from `offset` on, or a negative number on failure.
typedef int64_t (*arrow_bridge_source)(void *context, int64_t offset, int64_t count, uint8_t *bytes);

typedef struct arrow_bridge_parquet_writer arrow_bridge_parquet_writer;
typedef struct arrow_bridge_parquet_reader arrow_bridge_parquet_reader;

// Starts a Parquet file with the columns of `schema` (a struct; consumed). The columns named in `stored_plain` (NULL-terminated)
// are stored without compression or dictionary, which is fastest for vectors; the others with a dictionary where it helps, and zstd.
char *arrow_bridge_parquet_writer_open(struct ArrowSchema *schema, const char *const *stored_plain, arrow_bridge_sink sink,
                                       void *context, arrow_bridge_parquet_writer **writer);
// Writes `batch` (a struct array; consumed) as one row group. Its memory is not referred to after the call.
char *arrow_bridge_parquet_writer_write(arrow_bridge_parquet_writer *writer, struct ArrowArray *batch);
// Writes the footer.
char *arrow_bridge_parquet_writer_close(arrow_bridge_parquet_writer *writer);
void arrow_bridge_parquet_writer_free(arrow_bridge_parquet_writer *writer);

// Opens a Parquet file of `size` bytes and checks its footer. `large_groups`: its row groups may be larger than memory; they are
// read in small pieces then, which takes a little longer.
char *arrow_bridge_parquet_reader_open(arrow_bridge_source source, void *context, int64_t size, bool large_groups,
                                       arrow_bridge_parquet_reader **reader);
int64_t arrow_bridge_parquet_reader_rows(const arrow_bridge_parquet_reader *reader);
// The file's columns, as a struct.
char *arrow_bridge_parquet_reader_schema(arrow_bridge_parquet_reader *reader, struct ArrowSchema *schema);
// The next rows, at most `max_rows`; `batch->release` is NULL at the end of the file.
char *arrow_bridge_parquet_reader_next(arrow_bridge_parquet_reader *reader, int64_t max_rows, struct ArrowArray *batch);
void arrow_bridge_parquet_reader_free(arrow_bridge_parquet_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
