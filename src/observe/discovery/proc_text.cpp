#include "observe/discovery/proc_text.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace qd::observe::discovery {

std::string_view next_word(std::string_view& text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return text = {};
  text.remove_prefix(begin);
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

std::optional<std::string> read_text(const std::string& path, std::size_t limit) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string text;
  std::array<char, 4096> piece;
  ssize_t n = 0;
  while (text.size() < limit && (n = ::read(fd, piece.data(), piece.size())) > 0)
    text.append(piece.data(), static_cast<std::size_t>(n));
  ::close(fd);
  return n < 0 ? std::nullopt : std::optional(std::move(text));
}

}  // namespace qd::observe::discovery
