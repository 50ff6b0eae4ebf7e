#include <arrow/buffer.h>
#include <arrow/filesystem/filesystem.h>
#include <arrow/filesystem/s3fs.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/util/io_util.h>
#include <arrow/util/key_value_metadata.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <string>

#include "CArrowBridge.h"
#include "Guarded.h"

namespace fs = arrow::fs;

namespace {

// The AWS client tells the status in its words only: "... (HTTP status 403) during ...".
int http_status(const std::string &message) {
  static const std::string before = "(HTTP status ";
  size_t at = message.find(before);
  return at == std::string::npos ? 0 : std::atoi(message.c_str() + at + before.size());
}

arrow_bridge_failure failure(const arrow::Status &status) {
  if (status.ok()) return {nullptr, false, 0};
  int number = arrow::internal::ErrnoFromStatus(status);
  return {strdup(status.message().c_str()), number == ENOENT || http_status(status.message()) == 404, http_status(status.message())};
}

template <typename Body>
arrow_bridge_failure guarded(Body body) {
  return failure(guarded_status(body));
}

// Waits longer from try to try, and never for the same time as others do. An address where nobody ever answered is given up sooner.
class Patience : public fs::S3RetryStrategy {
 public:
  Patience(int first_attempts, int attempts) : first_attempts_(first_attempts), attempts_(attempts) {}

  bool ShouldRetry(const AWSErrorDetail &error, int64_t attempted) override {
    // Each of these took a minute already.
    if (error.message.find("curlCode: 28") != std::string::npos) return attempted + 1 < std::min(3, first_attempts_);
    return is_passing(error) && attempted + 1 < (was_reached ? attempts_ : first_attempts_);
  }
  int64_t CalculateDelayBeforeNextRetry(const AWSErrorDetail &, int64_t attempted) override {
    static thread_local std::mt19937 random(std::random_device{}());
    int64_t longest = std::min<int64_t>(20000, int64_t{100} << std::min<int64_t>(attempted, 10));
    return std::uniform_int_distribution<int64_t>(longest / 2, longest)(random);
  }

  std::atomic<bool> was_reached = false;

 private:
  // The client does not know all words by which servers ask for patience.
  static bool is_passing(const AWSErrorDetail &error) {
    for (const char *word : {"TooManyRequests", "SlowDown", "Throttl", "RequestTimeout", "ServiceUnavailable", "InternalError"}) {
      if (error.exception_name.find(word) != std::string::npos || error.message.find(word) != std::string::npos) return true;
    }
    return error.should_retry;
  }

  int first_attempts_;
  int attempts_;
};

arrow::Status initialize_s3() {
  static std::once_flag once;
  static arrow::Status status;
  std::call_once(once, [] {
    fs::S3GlobalOptions options;
    options.log_level = fs::S3LogLevel::Off;
    // A connection that breaks must not end the process.
    options.install_sigpipe_handler = true;
    status = fs::InitializeS3(options);
  });
  return status;
}

// When it goes, the client has made all that it keeps for good. What is registered last is called first, and the client has to end before what it keeps.
struct FinalizesAtExit {
  ~FinalizesAtExit() {
    static std::once_flag once;
    std::call_once(once, [] { std::atexit([] { static_cast<void>(fs::EnsureS3Finalized()); }); });
  }
};

// Whether uploads carry a checksum, which the client asks the environment while it is made. What the user has set there stays.
class ChecksumSetting {
 public:
  explicit ChecksumSetting(bool wanted) : guard_(one_at_a_time()) {
    static const char *users = std::getenv(kName);
    static const bool is_users = users != nullptr && *users != 0;
    if (!is_users) setenv(kName, wanted ? "when_supported" : "when_required", 1);
  }

 private:
  static constexpr const char *kName = "AWS_REQUEST_CHECKSUM_CALCULATION";
  static std::mutex &one_at_a_time() {
    static std::mutex mutex;
    return mutex;
  }
  std::lock_guard<std::mutex> guard_;
};

}  // namespace

struct arrow_bridge_cloud {
  std::shared_ptr<fs::FileSystem> system;
  std::shared_ptr<Patience> patience;  // S3 only

  void reached() {
    if (patience) patience->was_reached = true;
  }
};

struct arrow_bridge_object {
  std::shared_ptr<arrow::io::RandomAccessFile> file;
};

struct arrow_bridge_upload {
  std::shared_ptr<arrow::io::OutputStream> stream;
};

arrow_bridge_failure arrow_bridge_cloud_open(const char *url, const arrow_bridge_cloud_options *options, arrow_bridge_cloud **cloud,
                                             char **path) {
  return guarded([&]() -> arrow::Status {
    auto made = std::make_unique<arrow_bridge_cloud>();
    std::string inner;
    if (std::string(url).rfind("s3://", 0) == 0) {
      ARROW_RETURN_NOT_OK(initialize_s3());
      FinalizesAtExit at_exit;
      ARROW_ASSIGN_OR_RAISE(auto s3, fs::S3Options::FromUri(std::string(url), &inner));
      if (options->anonymous) {
        s3.ConfigureAnonymousCredentials();
      } else if (options->access_key != nullptr && options->secret_key != nullptr) {
        s3.ConfigureAccessKey(options->access_key, options->secret_key, options->session_token ? options->session_token : "");
      }
      if (options->certificate_authority != nullptr) s3.tls_ca_file_path = options->certificate_authority;
      made->patience = std::make_shared<Patience>(options->first_attempts, options->attempts);
      s3.force_virtual_addressing = options->virtual_hosts;
      s3.retry_strategy = made->patience;
      s3.allow_delayed_open = true;
      s3.connect_timeout = 10;
      s3.request_timeout = 60;
      ChecksumSetting setting(options->checksums);
      ARROW_ASSIGN_OR_RAISE(made->system, fs::S3FileSystem::Make(s3));
    } else {
      if (options->certificate_authority != nullptr) {
        fs::FileSystemGlobalOptions global;
        global.tls_ca_file_path = options->certificate_authority;
        ARROW_RETURN_NOT_OK(fs::Initialize(global));
      }
      ARROW_ASSIGN_OR_RAISE(made->system, fs::FileSystemFromUri(url, &inner));
    }
    *path = strdup(inner.c_str());
    *cloud = made.release();
    return arrow::Status::OK();
  });
}

void arrow_bridge_cloud_free(arrow_bridge_cloud *cloud) { delete cloud; }

namespace {

int64_t nanoseconds(fs::TimePoint time) { return time.time_since_epoch().count(); }

arrow::Result<fs::FileInfo> file_info(arrow_bridge_cloud *cloud, const std::string &path) {
  ARROW_ASSIGN_OR_RAISE(auto info, cloud->system->GetFileInfo(path));
  cloud->reached();
  if (info.type() != fs::FileType::File) return arrow::internal::StatusFromErrno(ENOENT, arrow::StatusCode::IOError, "no such object");
  return info;
}

}  // namespace

arrow_bridge_failure arrow_bridge_cloud_info(arrow_bridge_cloud *cloud, const char *path, int64_t *size, int64_t *modified) {
  return guarded([&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto info, file_info(cloud, path));
    *size = info.size();
    *modified = nanoseconds(info.mtime());
    return arrow::Status::OK();
  });
}

arrow_bridge_failure arrow_bridge_cloud_list(arrow_bridge_cloud *cloud, const char *path, arrow_bridge_listed listed, void *context) {
  return guarded([&]() -> arrow::Status {
    fs::FileSelector selector;
    selector.base_dir = path;
    selector.recursive = true;
    selector.allow_not_found = true;
    ARROW_ASSIGN_OR_RAISE(auto all, cloud->system->GetFileInfo(selector));
    cloud->reached();
    for (const auto &info : all) {
      if (info.type() == fs::FileType::File) listed(context, info.path().c_str(), info.size(), nanoseconds(info.mtime()));
    }
    return arrow::Status::OK();
  });
}

arrow_bridge_failure arrow_bridge_cloud_delete(arrow_bridge_cloud *cloud, const char *path) {
  return guarded([&]() -> arrow::Status {
    arrow::Status status = cloud->system->DeleteFile(path);
    if (status.ok()) return status;
    // Arrow puts an empty marker in the place of a folder that may have become empty, which some servers and rights refuse: the object is gone all the same.
    auto left = file_info(cloud, path);
    return !left.ok() && arrow::internal::ErrnoFromStatus(left.status()) == ENOENT ? arrow::Status::OK() : status;
  });
}

arrow_bridge_failure arrow_bridge_cloud_copy(arrow_bridge_cloud *cloud, const char *from, const char *to) {
  return guarded([&]() { return cloud->system->CopyFile(from, to); });
}

arrow_bridge_failure arrow_bridge_cloud_tag(arrow_bridge_cloud *cloud, const char *path, int64_t *size, char **tag) {
  return guarded([&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto file, cloud->system->OpenInputFile(path));
    cloud->reached();
    ARROW_ASSIGN_OR_RAISE(*size, file->GetSize());
    ARROW_ASSIGN_OR_RAISE(auto metadata, file->ReadMetadata());
    ARROW_ASSIGN_OR_RAISE(auto found, metadata->Get("ETag"));
    *tag = strdup(found.c_str());
    return arrow::Status::OK();
  });
}

arrow_bridge_failure arrow_bridge_object_open(arrow_bridge_cloud *cloud, const char *path, int64_t *size, arrow_bridge_object **object) {
  return guarded([&]() -> arrow::Status {
    auto made = std::make_unique<arrow_bridge_object>();
    if (*size < 0) {
      ARROW_ASSIGN_OR_RAISE(made->file, cloud->system->OpenInputFile(path));
      cloud->reached();
      ARROW_ASSIGN_OR_RAISE(*size, made->file->GetSize());
    } else {
      fs::FileInfo info(path, fs::FileType::File);
      info.set_size(*size);
      ARROW_ASSIGN_OR_RAISE(made->file, cloud->system->OpenInputFile(info));
    }
    *object = made.release();
    return arrow::Status::OK();
  });
}

arrow_bridge_failure arrow_bridge_object_read(arrow_bridge_object *object, int64_t offset, int64_t count, uint8_t *bytes, int64_t *read) {
  return guarded([&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(*read, object->file->ReadAt(offset, count, bytes));
    return arrow::Status::OK();
  });
}

void arrow_bridge_object_free(arrow_bridge_object *object) { delete object; }

arrow_bridge_failure arrow_bridge_upload_open(arrow_bridge_cloud *cloud, const char *path, arrow_bridge_upload **upload) {
  return guarded([&]() -> arrow::Status {
    auto made = std::make_unique<arrow_bridge_upload>();
    ARROW_ASSIGN_OR_RAISE(made->stream, cloud->system->OpenOutputStream(path));
    *upload = made.release();
    return arrow::Status::OK();
  });
}

arrow_bridge_failure arrow_bridge_upload_write(arrow_bridge_upload *upload, const uint8_t *bytes, int64_t count) {
  return guarded([&]() { return upload->stream->Write(bytes, count); });
}

arrow_bridge_failure arrow_bridge_upload_flush(arrow_bridge_upload *upload) {
  return guarded([&]() { return upload->stream->Flush(); });
}

arrow_bridge_failure arrow_bridge_upload_finish(arrow_bridge_upload *upload) {
  return guarded([&]() { return upload->stream->Close(); });
}

void arrow_bridge_upload_free(arrow_bridge_upload *upload) {
  if (upload != nullptr && !upload->stream->closed()) {
    static_cast<void>(guarded_status([&]() { return upload->stream->Abort(); }));
  }
  delete upload;
}
