// Objects in the clouds, by Arrow's file systems: S3, Google Cloud Storage and Azure.
//
// Every function blocks until it is done. One that can fail returns its failure; there is none when `message` is NULL. A file system and an open object
// may be used from several threads at a time, an upload from one.
#ifndef C_ARROW_BRIDGE_FILE_SYSTEM_H
#define C_ARROW_BRIDGE_FILE_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  char *message;    // the caller frees it with free()
  bool not_found;   // the object is not there
  int http_status;  // what the server answered, as far as it is told; else 0
} arrow_bridge_failure;

typedef struct {
  // S3 only: NULL for what the environment, the profile or the machine's role says.
  const char *access_key;
  const char *secret_key;
  const char *session_token;
  bool anonymous;
  // bucket.host/key instead of host/bucket/key also where the endpoint is not Amazon's.
  bool virtual_hosts;
  // Whether uploads carry a checksum of their own, as buckets with object lock want it.
  bool checksums;
  // A PEM file of certificate authorities, or NULL for the system's.
  const char *certificate_authority;
  // S3: how often a call is tried, at most, before the first answer of the server and after it.
  int first_attempts;
  int attempts;
} arrow_bridge_cloud_options;

typedef struct arrow_bridge_cloud arrow_bridge_cloud;
typedef struct arrow_bridge_object arrow_bridge_object;
typedef struct arrow_bridge_upload arrow_bridge_upload;

// Opens the file system that a URL (s3://, gs://, abfs://) leads to; nothing is asked of the server yet.
// `path`: bucket and prefix in it, to be freed with free().
arrow_bridge_failure arrow_bridge_cloud_open(const char *url, const arrow_bridge_cloud_options *options, arrow_bridge_cloud **cloud,
                                             char **path);
void arrow_bridge_cloud_free(arrow_bridge_cloud *cloud);

// `modified`: nanoseconds since 1970 by the server's clock. An object that is not there is a failure with `not_found`.
arrow_bridge_failure arrow_bridge_cloud_info(arrow_bridge_cloud *cloud, const char *path, int64_t *size, int64_t *modified);

// All objects below the folder `path`, in no order; no failure if there are none.
typedef void (*arrow_bridge_listed)(void *context, const char *path, int64_t size, int64_t modified);
arrow_bridge_failure arrow_bridge_cloud_list(arrow_bridge_cloud *cloud, const char *path, arrow_bridge_listed listed, void *context);

// Removes an object; one that is not there is no failure.
arrow_bridge_failure arrow_bridge_cloud_delete(arrow_bridge_cloud *cloud, const char *path);

// Copies an object within its service, S3 only: its bytes do not come here. Both are given with their buckets.
arrow_bridge_failure arrow_bridge_cloud_copy(arrow_bridge_cloud *cloud, const char *from, const char *to);

// The size of an object and the tag (ETag) that the service gives its content, to be freed with free().
arrow_bridge_failure arrow_bridge_cloud_tag(arrow_bridge_cloud *cloud, const char *path, int64_t *size, char **tag);

// Opens an object to read any part of it. `size`: if negative, the server is asked for it and it is set.
arrow_bridge_failure arrow_bridge_object_open(arrow_bridge_cloud *cloud, const char *path, int64_t *size, arrow_bridge_object **object);
// Reads from `offset` on; fewer bytes than asked for only at the end.
arrow_bridge_failure arrow_bridge_object_read(arrow_bridge_object *object, int64_t offset, int64_t count, uint8_t *bytes, int64_t *read);
void arrow_bridge_object_free(arrow_bridge_object *object);

// Begins an object; it is there, whole, when `finish` has not failed. Freed before, it leaves nothing visible.
arrow_bridge_failure arrow_bridge_upload_open(arrow_bridge_cloud *cloud, const char *path, arrow_bridge_upload **upload);
arrow_bridge_failure arrow_bridge_upload_write(arrow_bridge_upload *upload, const uint8_t *bytes, int64_t count);
// Waits until what was written so far has arrived: until then it stands in memory.
arrow_bridge_failure arrow_bridge_upload_flush(arrow_bridge_upload *upload);
arrow_bridge_failure arrow_bridge_upload_finish(arrow_bridge_upload *upload);
void arrow_bridge_upload_free(arrow_bridge_upload *upload);

#ifdef __cplusplus
}
#endif

#endif
