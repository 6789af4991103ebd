// The streams that the options name: their lengths, groups and consumers, by XINFO.
//
// Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "observe/collector.h"
#include "observe/redis/options.h"
#include "observe/redis/resp.h"
#include "observe/redis/session.h"

namespace qd::observe::redis {

// Of all streams together; what is beyond is left out.
inline constexpr std::size_t kGroupsMax = 1000;
inline constexpr std::size_t kConsumersMax = 10'000;

class Streams {
 public:
  explicit Streams(const std::vector<std::string>& keys);

  void clear();
  // Nothing happens where there are no streams to read. `trouble` is set when one of them is not there or not a stream.
  base::Status ask(Session& session, std::optional<base::Error>& trouble, std::int64_t deadline_ns);
  void tell(Sink& sink) const;

 private:
  struct Watched {
    StreamKey key;
    std::string database_label;  // "db0"
    std::string label;
  };
  struct Stream {
    const Watched* of = nullptr;
    std::array<std::optional<double>, 9> values{};  // in the order of kStream
  };
  struct Group {
    const Watched* of = nullptr;
    std::string name;   // as the server has it
    std::string label;  // as UTF-8
    std::array<std::optional<double>, 5> values{};
  };
  struct Consumer {
    std::size_t group = 0;
    std::string label;
    std::array<std::optional<double>, 2> values{};
  };
  struct Asked {
    std::size_t of;  // a stream or a group
    bool is_select = false;
    bool is_groups = false;
  };
  void select(const Session& session, std::uint32_t database, std::uint32_t& selected);
  base::Status ask_streams(Session& session, std::optional<base::Error>& trouble, std::int64_t deadline_ns);
  base::Status ask_consumers(Session& session, std::int64_t deadline_ns);
  void take_stream(const Watched& watched, const Reply& reply);
  void take_groups(const Watched& watched, const Reply& reply);

  std::vector<Watched> watched_;
  std::string request_;
  std::vector<Asked> asked_;
  Replies replies_;
  std::vector<Stream> streams_;
  std::vector<Group> groups_;
  std::vector<Consumer> consumers_;
};

}  // namespace qd::observe::redis
