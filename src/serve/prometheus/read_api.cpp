#include "serve/prometheus/read_api.h"

#include <fmt/format.h>

#include <atomic>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "model/remote_write/read_request.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"
#include "store/prometheus/chunk.h"

namespace qd::serve::prometheus {

namespace {

using base::ErrorCode;
using base::MutexLock;
using connect::http::Response;
using store::metrics::Columns;
using store::metrics::Querier;
using store::metrics::SeriesSet;

namespace wire = model::remote_write;

// What is made ahead of what the client has taken.
constexpr std::size_t kPieceBytes = 256 << 10;

struct Counters {
  explicit Counters(base::Registry& registry)
      : requests(registry.counter("quarterdeck_read_requests_total", "Requests of remote read.")),
        failed(registry.counter("quarterdeck_read_requests_failed_total", "Requests of remote read that failed.")),
        samples(registry.counter("quarterdeck_read_samples_total", "Samples that were given by remote read.")) {}

  base::Counter& requests;
  base::Counter& failed;
  base::Counter& samples;
  std::atomic<std::size_t> running{0};
};
using CountersPtr = std::shared_ptr<Counters>;

// One of kReadsMax.
class Place {
 public:
  explicit Place(CountersPtr counters) : counters_(std::move(counters)), got_(++counters_->running <= kReadsMax) {}
  ~Place() { --counters_->running; }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  bool got() const { return got_; }

 private:
  const CountersPtr counters_;
  const bool got_;
};

base::Result<std::string> samples_of(const wire::ReadRequest& request, const Querier& querier, Counters& counters) {
  std::string response;
  Columns columns;
  std::vector<model::Sample> samples;
  for (const wire::ReadQuery& query : request.queries) {
    std::string result;
    QD_ASSIGN(const auto set, querier.select(query.matchers, query.from_ms, query.to_ms, kReadSeriesMax));
    for (std::size_t i = 0; i < set->size(); ++i) {
      QD_TRY(set->read(i, query.from_ms, query.to_ms, columns));
      if (columns.size() == 0) continue;
      samples.clear();
      std::string histograms;
      for (std::size_t k = 0; k < columns.size(); ++k) {
        if (!columns.histograms.empty() && columns.histograms[k]) {
          histograms += wire::histogram_field(columns.times[k], *columns.histograms[k]);
        } else {
          samples.push_back({columns.times[k], columns.values[k]});
        }
      }
      wire::append_series(result, wire::encode_labels(set->labels(i)), samples, histograms);
      counters.samples.add(columns.size());
      if (response.size() + result.size() > kReadBytesMax)
        return base::fail(ErrorCode::kLimit, fmt::format("the answer has more than {} bytes: ask for fewer series or a "
                                                         "shorter time, or accept STREAMED_XOR_CHUNKS",
                                                         kReadBytesMax));
    }
    wire::append_query_result(response, result);
  }
  return response;
}

// Makes the frames of one answer, piece by piece, on the pool; the loop's threads only take what is ready.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(wire::ReadRequest request, std::vector<std::unique_ptr<SeriesSet>> sets, base::ThreadPool& pool,
         base::Log& log, CountersPtr counters, std::shared_ptr<Place> place)
      : request_(std::move(request)),
        sets_(std::move(sets)),
        pool_(pool),
        log_(log),
        counters_(std::move(counters)),
        place_(std::move(place)) {}

  // As a Generator.
  bool next(std::string& out) {
    MutexLock lock(mutex_);
    out += ready_;
    ready_.clear();
    if (broken_) return broken_off(out);
    if (done_) return false;
    if (!working_) {
      working_ = true;
      const auto queued = pool_.submit([self = shared_from_this()] { self->work(); });
      if (!queued) working_ = false;
    }
    return true;
  }

 private:
  // A frame that is longer than what comes with it: nobody takes the stream for whole.
  static bool broken_off(std::string& out) {
    out += "\xff\xff\xff\xff\x07";
    return false;
  }

  void work() {
    std::string piece;
    base::Status made;
    bool more = true;
    while (more && made && piece.size() < kPieceBytes) {
      if (query_ == sets_.size()) {
        more = false;
      } else if (series_ == sets_[query_]->size()) {
        ++query_;
        series_ = 0;
      } else {
        made = add_series(piece);
        ++series_;
      }
    }
    if (!made) {
      counters_->failed.add();
      log_.error("a remote read is broken off", {{"error", made.error()}});
    }
    MutexLock lock(mutex_);
    ready_ += piece;
    working_ = false;
    broken_ = !made;
    done_ = !more;
  }

  base::Status add_series(std::string& piece) {
    const wire::ReadQuery& query = request_.queries[query_];
    const SeriesSet& set = *sets_[query_];
    QD_TRY(set.read(series_, query.from_ms, query.to_ms, columns_));
    if (columns_.size() == 0) return {};
    counters_->samples.add(columns_.size());
    const std::string labels = wire::encode_labels(set.labels(series_));
    const auto chunks = store::prometheus::encode_chunks(columns_);
    std::vector<wire::ChunkView> frame;
    std::size_t bytes = 0;
    for (const auto& chunk : chunks) {
      if (!frame.empty() && bytes + chunk.bytes.size() > kFrameBytesMax) {
        wire::append_frame(piece, labels, frame, query_);
        frame.clear();
        bytes = 0;
      }
      frame.push_back({.min_ms = chunk.min_ms,
                       .max_ms = chunk.max_ms,
                       .encoding = static_cast<std::uint8_t>(chunk.encoding),
                       .data = chunk.bytes});
      bytes += chunk.bytes.size();
    }
    wire::append_frame(piece, labels, frame, query_);
    return {};
  }

  const wire::ReadRequest request_;
  const std::vector<std::unique_ptr<SeriesSet>> sets_;
  base::ThreadPool& pool_;
  base::Log& log_;
  const CountersPtr counters_;
  const std::shared_ptr<Place> place_;
  // Of the one work that runs.
  std::size_t query_ = 0;
  std::size_t series_ = 0;
  Columns columns_;

  base::Mutex mutex_;
  std::string ready_ QD_GUARDED_BY(mutex_);
  bool working_ QD_GUARDED_BY(mutex_) = false;
  bool broken_ QD_GUARDED_BY(mutex_) = false;
  bool done_ QD_GUARDED_BY(mutex_) = false;
};

Response plain(int status, std::string text) {
  return Response::text(status, std::move(text) + "\n");
}

Response refuse(const base::Error& error) {
  const bool ours = error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kUnavailable;
  return plain(ours ? 500 : 400, error.message());
}

}  // namespace

void add_read_route(Router& router, const Querier& querier, base::ThreadPool& pool, base::Log& log,
                    base::Registry& registry) {
  const auto counters = std::make_shared<Counters>(registry);
  const auto answer = [&querier, &pool, &log, counters](const connect::http::Request& asked) -> Response {
    counters->requests.add();
    const auto failed = [&](Response response) {
      counters->failed.add();
      return response;
    };
    const auto place = std::make_shared<Place>(counters);
    if (!place->got()) return failed(plain(503, fmt::format("{} remote reads are being answered", kReadsMax)));
    const auto message = wire::unpack(asked.body, kReadRequestBytesMax);
    if (!message)
      return failed(plain(message.error().code() == ErrorCode::kLimit ? 413 : 400, message.error().message()));
    auto request = wire::read_read_request(*message);
    if (!request) return failed(refuse(request.error()));
    if (!request->streamed) {
      const auto response = samples_of(*request, querier, *counters);
      if (!response) return failed(refuse(response.error()));
      Response whole{.content_type = std::string(wire::kContentType), .body = wire::pack(*response)};
      whole.headers.add("Content-Encoding", "snappy");
      return whole;
    }
    std::vector<std::unique_ptr<SeriesSet>> sets;
    for (const wire::ReadQuery& query : request->queries) {
      auto set = querier.select(query.matchers, query.from_ms, query.to_ms, kReadSeriesMax);
      if (!set) return failed(refuse(set.error()));
      sets.push_back(std::move(*set));
    }
    const auto stream = std::make_shared<Stream>(std::move(*request), std::move(sets), pool, log, counters, place);
    return {.content_type = std::string(wire::kStreamedContentType),
            .body = connect::http::Generator([stream](std::string& out) { return stream->next(out); })};
  };
  router.add({.methods = {"POST"},
              .path = "/api/v1/read",
              .access = Access::kRead,
              .computes = true,
              .takes_encoded_body = true,
              .handler = [answer](Call call) {
                auto response = answer(call.request);
                call.reply.send(std::move(response));
              }});
}

}  // namespace qd::serve::prometheus
