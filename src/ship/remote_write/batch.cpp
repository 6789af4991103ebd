#include "ship/remote_write/batch.h"

#include <unordered_map>

#include "base/assert.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"

namespace qd::ship::remote_write {

namespace {

namespace wire = model::remote_write;

// More than a sample takes beside its labels: its own field with time and value, and the header of its series.
constexpr std::size_t kSampleBytes = 40;

// Each series once, in the order in which they come first, with its samples in theirs.
class Merge final : public wire::EncodedSink {
 public:
  void sample(std::string_view encoded_labels, const model::Sample& sample) override {
    find(encoded_labels).samples.push_back(sample);
    ++count_;
  }
  void other(std::string_view encoded_labels, wire::OtherKind /*kind*/, std::string_view field) override {
    find(encoded_labels).others += field;
    ++count_;
  }

  std::string message() const {
    std::string out;
    for (const Series& series : series_) wire::append_series(out, series.labels, series.samples, series.others);
    return out;
  }
  std::uint64_t count() const { return count_; }

 private:
  struct Series {
    std::string_view labels;
    std::vector<model::Sample> samples;
    std::string others;
  };

  Series& find(std::string_view encoded_labels) {
    // One series comes after another in every message, mostly in the same order: look at the next one first.
    const std::size_t expected = last_ + 1;
    if (expected < series_.size() && series_[expected].labels == encoded_labels) {
      last_ = expected;
    } else {
      const auto [it, added] = places_.try_emplace(encoded_labels, series_.size());
      if (added) series_.push_back({encoded_labels, {}, {}});
      last_ = it->second;
    }
    return series_[last_];
  }

  std::vector<Series> series_;
  std::unordered_map<std::string_view, std::size_t> places_;
  std::size_t last_ = 0;
  std::uint64_t count_ = 0;
};

// Only tells whether all of it can be read.
class Nothing final : public wire::EncodedSink {
 public:
  void sample(std::string_view, const model::Sample&) override {}
  void other(std::string_view, wire::OtherKind, std::string_view) override {}
};

}  // namespace

base::Result<std::string> unpack_queued(const std::string& request) {
  QD_ASSIGN(std::string message, wire::unpack(request, kQueuedBytesMax));
  Nothing nothing;
  QD_TRY(wire::read_encoded(message, nothing));
  return message;
}

base::Status pack_samples(std::span<const LabelledSample> samples,
                          const std::function<base::Status(std::uint32_t samples, std::string_view request)>& queue) {
  std::string message;
  std::uint32_t count = 0;
  const auto flush = [&]() -> base::Status {
    if (count == 0) return {};
    const base::Status queued = queue(count, wire::pack(message));
    message.clear();
    count = 0;
    return queued;
  };
  for (const LabelledSample& one : samples) {
    const std::size_t bytes = one.labels->size() + (one.other ? one.other->size() : 0) + kSampleBytes;
    if (count == kQueuedSamplesMax || message.size() + bytes > kQueuedBytesMax) QD_TRY(flush());
    if (one.other) {
      wire::append_series(message, *one.labels, {}, *one.other);
    } else {
      wire::append_series(message, *one.labels, {&one.sample, 1});
    }
    ++count;
  }
  return flush();
}

base::Result<JoinedRequest> join(std::span<const QueuedRequest> requests) {
  QD_ASSERT(!requests.empty());
  JoinedRequest joined;
  std::vector<std::string> messages;
  std::size_t bytes = 0;
  for (const QueuedRequest& request : requests) {
    auto message = unpack_queued(request.request);
    if (!message && messages.empty()) return base::fail(base::ErrorCode::kCorrupt, message.error().message());
    // What follows is looked at again when it comes first.
    if (!message || (!messages.empty() && bytes + message->size() > kJoinedBytesMax)) break;
    bytes += message->size();
    messages.push_back(std::move(*message));
  }
  joined.joined = messages.size();
  if (messages.size() == 1) {
    joined.body = requests.front().request;
    joined.samples = requests.front().samples;
    return joined;
  }
  Merge merge;
  for (const std::string& message : messages) QD_TRY(wire::read_encoded(message, merge));
  joined.body = wire::pack(merge.message());
  joined.samples = merge.count();
  return joined;
}

}  // namespace qd::ship::remote_write
