// Sends requests to the object store by the HTTP client, and waits for the answers.
#pragma once

#include "base/mutex.h"
#include "base/result.h"
#include "connect/http/client.h"
#include "ship/objects/settings.h"
#include "ship/objects/uploader.h"

namespace qd::ship::objects {

// Thread-safe. close() comes before the client's end: after it, and in what is under way when the client ends, send()
// says kCancelled.
class Sender {
 public:
  Sender(connect::http::Client& client, const ObjectSettings& settings) : client_(&client), settings_(settings) {}
  // Not from a thread of the event loop.
  base::Result<Answer> send(Outgoing request) QD_EXCLUDES(mutex_);
  void close() QD_EXCLUDES(mutex_);

 private:
  base::Mutex mutex_;
  connect::http::Client* client_ QD_GUARDED_BY(mutex_);
  const ObjectSettings settings_;
};

}  // namespace qd::ship::objects
