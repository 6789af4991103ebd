// RESP2, the protocol of Redis: commands as bytes, and replies as a tree that keeps its memory from pass to pass.
// Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
//
// Not thread-safe. Texts and replies are valid until the next clear().
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "connect/stream.h"

namespace qd::observe::redis {

// All replies between two clear() together. INFO ALL of a busy server with hundreds of commands is some 100 KiB.
inline constexpr std::size_t kReplyBytesMax = 16 << 20;
inline constexpr std::size_t kReplyNodesMax = 200'000;
inline constexpr std::size_t kReplyLineBytesMax = 64 << 10;
inline constexpr int kReplyDepthMax = 8;

void append_command(std::string& request, std::initializer_list<std::string_view> words);

class Replies;

// A reply or a part of one. Wrong kinds give empty texts, 0, and no items, so that hostile replies need no checks.
class Reply {
 public:
  enum class Kind : std::uint8_t { kNull, kText, kError, kInteger, kArray };

  Reply() = default;
  Kind kind() const;
  bool is_error() const { return kind() == Kind::kError; }
  // Of texts and errors; an error is "NOPERM this user has no …".
  std::string_view text() const;
  std::int64_t integer() const;
  // Items of an array, from first() on until one is not there.
  Reply first() const;
  Reply next() const;
  explicit operator bool() const { return replies_ != nullptr; }
  // The value in an array of keys and values in turn; one that is not there where the key is not.
  Reply value_of(std::string_view key) const;

 private:
  friend class Replies;
  Reply(const Replies* replies, std::uint32_t at, std::uint32_t end) : replies_(replies), at_(at), end_(end) {}

  const Replies* replies_ = nullptr;
  std::uint32_t at_ = 0;
  std::uint32_t end_ = 0;  // where the array ends that this stands in
};

class Replies {
 public:
  Replies() = default;
  Replies(const Replies&) = delete;
  Replies& operator=(const Replies&) = delete;

  void clear();
  // Reads one reply. After an error the stream is of no more use: kCorrupt when it is not RESP2, kLimit past a bound.
  base::Status read(connect::Stream& stream, std::int64_t deadline_ns);
  // The i-th one read.
  Reply operator[](std::size_t i) const;
  std::size_t size() const { return tops_.size(); }

 private:
  friend class Reply;
  struct Node {
    Reply::Kind kind = Reply::Kind::kNull;
    std::uint32_t end = 0;      // the place behind the last node of this subtree
    std::uint32_t text_at = 0;  // in text_
    std::uint32_t text_size = 0;
    std::int64_t integer = 0;
  };
  base::Status read_node(connect::Stream& stream, std::int64_t deadline_ns, int depth);
  base::Status keep(Node& node, std::string_view text, const connect::Stream& stream);

  std::string text_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> tops_;
};

}  // namespace qd::observe::redis
