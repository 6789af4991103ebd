#include "observe/redis/resp.h"

#include <charconv>

#include "base/format.h"

namespace qd::observe::redis {

void append_command(std::string& request, std::initializer_list<std::string_view> words) {
  base::append_format(request, "*{}\r\n", words.size());
  for (const std::string_view word : words) base::append_format(request, "${}\r\n{}\r\n", word.size(), word);
}

Reply::Kind Reply::kind() const {
  return replies_ == nullptr ? Kind::kNull : replies_->nodes_[at_].kind;
}

std::string_view Reply::text() const {
  if (replies_ == nullptr) return {};
  const Replies::Node& node = replies_->nodes_[at_];
  return std::string_view(replies_->text_).substr(node.text_at, node.text_size);
}

std::int64_t Reply::integer() const {
  return replies_ == nullptr ? 0 : replies_->nodes_[at_].integer;
}

Reply Reply::first() const {
  if (replies_ == nullptr) return {};
  const std::uint32_t end = replies_->nodes_[at_].end;
  return end == at_ + 1 ? Reply() : Reply(replies_, at_ + 1, end);
}

Reply Reply::next() const {
  if (replies_ == nullptr) return {};
  const std::uint32_t after = replies_->nodes_[at_].end;
  return after == end_ ? Reply() : Reply(replies_, after, end_);
}

Reply Reply::value_of(std::string_view key) const {
  for (Reply item = first(); item;) {
    const Reply value = item.next();
    if (item.text() == key) return value;
    item = value.next();
  }
  return {};
}

void Replies::clear() {
  text_.clear();
  nodes_.clear();
  tops_.clear();
}

base::Status Replies::read(connect::Stream& stream, std::int64_t deadline_ns) {
  const auto top = static_cast<std::uint32_t>(nodes_.size());
  QD_TRY(read_node(stream, deadline_ns, 0));
  tops_.push_back(top);
  return {};
}

Reply Replies::operator[](std::size_t i) const {
  if (i >= tops_.size()) return {};
  return {this, tops_[i], nodes_[tops_[i]].end};
}

base::Status Replies::read_node(connect::Stream& stream, std::int64_t deadline_ns, int depth) {
  QD_ASSIGN(const std::string_view line, stream.read_line(kReplyLineBytesMax, deadline_ns));
  const auto wrong = [&](std::string_view what) {
    return base::fail(base::ErrorCode::kCorrupt,
                      fmt::format("{}: this is not an answer of Redis: {:?}", stream.address(), what.substr(0, 80)));
  };
  if (line.empty()) return wrong(line);
  if (nodes_.size() == kReplyNodesMax || depth > kReplyDepthMax) {
    return base::fail(base::ErrorCode::kLimit, fmt::format("{}: the answer has more than {} values or {} levels",
                                                           stream.address(), kReplyNodesMax, kReplyDepthMax));
  }
  const std::size_t at = nodes_.size();
  nodes_.emplace_back();
  const std::string_view rest = line.substr(1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  const bool is_number = error == std::errc{} && end == rest.data() + rest.size();
  switch (line[0]) {
    case '+':
    case '-':
      nodes_[at].kind = line[0] == '+' ? Reply::Kind::kText : Reply::Kind::kError;
      QD_TRY(keep(nodes_[at], rest, stream));
      break;
    case ':':
      if (!is_number) return wrong(line);
      nodes_[at].kind = Reply::Kind::kInteger;
      nodes_[at].integer = number;
      break;
    case '$': {
      if (!is_number || number < -1) return wrong(line);
      if (number == -1) break;
      if (static_cast<std::uint64_t>(number) > kReplyBytesMax) {
        return base::fail(base::ErrorCode::kLimit,
                          fmt::format("{}: the answer has more than {} bytes", stream.address(), kReplyBytesMax));
      }
      const auto size = static_cast<std::size_t>(number);
      QD_ASSIGN(const std::string_view text, stream.read_exact(size + 2, deadline_ns));
      if (!text.ends_with("\r\n")) return wrong(text);
      nodes_[at].kind = Reply::Kind::kText;
      QD_TRY(keep(nodes_[at], text.substr(0, size), stream));
      break;
    }
    case '*':
      if (!is_number || number < -1) return wrong(line);
      if (number == -1) break;
      nodes_[at].kind = Reply::Kind::kArray;
      for (std::int64_t i = 0; i < number; ++i) QD_TRY(read_node(stream, deadline_ns, depth + 1));
      break;
    default:
      return wrong(line);
  }
  nodes_[at].end = static_cast<std::uint32_t>(nodes_.size());
  return {};
}

base::Status Replies::keep(Node& node, std::string_view text, const connect::Stream& stream) {
  if (text_.size() + text.size() > kReplyBytesMax) {
    return base::fail(base::ErrorCode::kLimit,
                      fmt::format("{}: the answers have more than {} bytes", stream.address(), kReplyBytesMax));
  }
  node.text_at = static_cast<std::uint32_t>(text_.size());
  node.text_size = static_cast<std::uint32_t>(text.size());
  text_ += text;
  return {};
}

}  // namespace qd::observe::redis
