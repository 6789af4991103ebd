// Requests as they are queued, and several joined into one on their way out.
//
// What waits is small: a request for each commit. Sent one by one, ten minutes of them would take as many round trips;
// joined, each series stands once with all its samples. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/sample.h"
#include "ship/remote_write/queue.h"

namespace qd::ship::remote_write {

// A queued request holds so many samples and unpacked bytes at most, and so does what it is unpacked to.
inline constexpr std::size_t kQueuedSamplesMax = 10'000;
inline constexpr std::size_t kQueuedBytesMax = 1 << 20;
// Of a joined request, unpacked: what receivers commonly take has ten times the room.
inline constexpr std::size_t kJoinedBytesMax = 4 << 20;

// A sample with the labels of its series as encode_labels gives them.
struct LabelledSample {
  std::shared_ptr<const std::string> labels;
  model::Sample sample;
  // A histogram or an exemplar in place of the sample, as histogram_field and exemplar_field give it.
  std::shared_ptr<const std::string> other = {};
};

// Packs samples into as few requests as their bounds allow, in order, and hands each to `queue`. The first error ends
// it.
base::Status pack_samples(std::span<const LabelledSample> samples,
                          const std::function<base::Status(std::uint32_t samples, std::string_view request)>& queue);

// The message of a queued request. kCorrupt or kInvalid when it is no request of ours, whole and readable.
base::Result<std::string> unpack_queued(const std::string& request);

struct JoinedRequest {
  std::string body;        // a WriteRequest as a Snappy block
  std::size_t joined = 0;  // how many of the requests it holds, from the first on; at least one
  std::uint64_t samples = 0;
};

// Joins from the first on as many as kJoinedBytesMax allows. kCorrupt when the first is no request of ours.
// REQUIRES: !requests.empty().
base::Result<JoinedRequest> join(std::span<const QueuedRequest> requests);

}  // namespace qd::ship::remote_write
