#include "observe/nginx/stub_status.h"

#include <charconv>

#include "observe/nginx/families.h"

namespace qd::observe::nginx {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  // Passes over blanks and then `expected`.
  bool word(std::string_view expected) {
    skip_blanks();
    if (!text_.starts_with(expected)) return false;
    text_.remove_prefix(expected.size());
    return true;
  }
  bool number(std::uint64_t& value) {
    skip_blanks();
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc()) return false;
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    return true;
  }
  bool rest_of_line() {
    const std::size_t end = text_.find('\n');
    if (end == std::string_view::npos) return false;
    text_.remove_prefix(end + 1);
    return true;
  }

 private:
  void skip_blanks() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\t')) text_.remove_prefix(1);
  }
  std::string_view text_;
};

}  // namespace

std::optional<StubStatus> parse_stub_status(std::string_view page) {
  StubStatus status;
  Reader reader(page);
  const bool understood = reader.word("Active connections:") && reader.number(status.active) && reader.rest_of_line() &&
                          reader.word("server accepts handled requests") && reader.rest_of_line() &&
                          reader.number(status.accepted) && reader.number(status.handled) &&
                          reader.number(status.requests) && reader.rest_of_line() && reader.word("Reading:") &&
                          reader.number(status.reading) && reader.word("Writing:") && reader.number(status.writing) &&
                          reader.word("Waiting:") && reader.number(status.waiting);
  if (!understood) return std::nullopt;
  return status;
}

void tell(const StubStatus& status, Sink& sink) {
  const auto one = [&sink](const FamilyInfo& info, std::uint64_t value) {
    begin(sink, info);
    sink.sample(static_cast<double>(value));
  };
  one(family::kAccepted, status.accepted);
  one(family::kActive, status.active);
  one(family::kHandled, status.handled);
  one(family::kReading, status.reading);
  one(family::kWaiting, status.waiting);
  one(family::kWriting, status.writing);
  one(family::kRequests, status.requests);
}

}  // namespace qd::observe::nginx
