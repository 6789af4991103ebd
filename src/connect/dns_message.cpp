#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "connect/dns.h"

namespace qd::connect {
namespace {

using base::ErrorCode;

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kLabelBytesMax = 63;

struct Named {
  std::string_view name;
  std::uint16_t number;
};
// The registry "Resource Record (RR) TYPEs".
constexpr auto kTypes = std::to_array<Named>({
    {"A", 1},           {"NS", 2},          {"CNAME", 5},  {"SOA", 6},     {"PTR", 12},  {"HINFO", 13},
    {"MX", 15},         {"TXT", 16},        {"RP", 17},    {"AFSDB", 18},  {"KEY", 25},  {"AAAA", 28},
    {"LOC", 29},        {"SRV", 33},        {"NAPTR", 35}, {"KX", 36},     {"CERT", 37}, {"DNAME", 39},
    {"OPT", 41},        {"DS", 43},         {"SSHFP", 44}, {"RRSIG", 46},  {"NSEC", 47}, {"DNSKEY", 48},
    {"NSEC3", 50},      {"NSEC3PARAM", 51}, {"TLSA", 52},  {"SMIMEA", 53}, {"CDS", 59},  {"CDNSKEY", 60},
    {"OPENPGPKEY", 61}, {"CSYNC", 62},      {"SVCB", 64},  {"HTTPS", 65},  {"SPF", 99},  {"EUI48", 108},
    {"EUI64", 109},     {"IXFR", 251},      {"AXFR", 252}, {"ANY", 255},   {"URI", 256}, {"CAA", 257},
});
constexpr auto kClasses =
    std::to_array<Named>({{"IN", 1}, {"CS", 2}, {"CH", 3}, {"HS", 4}, {"NONE", 254}, {"ANY", 255}});
constexpr auto kRcodes = std::to_array<Named>({
    {"NOERROR", 0},  {"FORMERR", 1},  {"SERVFAIL", 2}, {"NXDOMAIN", 3},  {"NOTIMP", 4},
    {"REFUSED", 5},  {"YXDOMAIN", 6}, {"YXRRSET", 7},  {"NXRRSET", 8},   {"NOTAUTH", 9},
    {"NOTZONE", 10}, {"BADSIG", 16},  {"BADVERS", 16}, {"BADKEY", 17},   {"BADTIME", 18},
    {"BADMODE", 19}, {"BADNAME", 20}, {"BADALG", 21},  {"BADTRUNC", 22}, {"BADCOOKIE", 23},
});

template <std::size_t N>
std::optional<std::uint16_t> number_of(const std::array<Named, N>& table, std::string_view name) {
  for (const auto& one : table)
    if (one.name == name) return one.number;
  return std::nullopt;
}
template <std::size_t N>
std::string name_of(const std::array<Named, N>& table, std::uint16_t number, std::string_view otherwise) {
  for (const auto& one : table)
    if (one.number == number) return std::string(one.name);
  return fmt::format("{}{}", otherwise, number);
}

// A byte of a name or a text, as zone files have it (RFC 1035, section 5.1).
void append_escaped(std::string& out, unsigned char byte, std::string_view special) {
  if (byte < ' ' || byte > '~') {
    out += fmt::format("\\{:03}", byte);
    return;
  }
  if (special.find(static_cast<char>(byte)) != std::string_view::npos) out += '\\';
  out += static_cast<char>(byte);
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  base::Result<DnsMessage> message() {
    if (bytes_.size() < kHeaderBytes) return corrupt("it is shorter than a header");
    DnsMessage out;
    out.id = *u16();
    const std::uint16_t flags = *u16();
    out.is_answer = (flags & 0x8000U) != 0;
    out.truncated = (flags & 0x0200U) != 0;
    out.rcode = flags & 0x000fU;
    const std::size_t questions = *u16();
    const std::array<std::pair<std::size_t, std::vector<DnsRecord>*>, 3> parts = {
        {{*u16(), &out.answers}, {*u16(), &out.authorities}, {*u16(), &out.additionals}}};
    if (questions + parts[0].first + parts[1].first + parts[2].first > kDnsRecordsMax)
      return corrupt(fmt::format("it has more than {} records", kDnsRecordsMax));
    for (std::size_t i = 0; i < questions; ++i) {
      QD_TRY(name());
      if (!skip(4)) return corrupt("a question is cut");
    }
    for (const auto& [count, records] : parts) {
      for (std::size_t i = 0; i < count; ++i) {
        QD_ASSIGN(auto one, record());
        records->push_back(std::move(one));
      }
    }
    return out;
  }

 private:
  static std::unexpected<base::Error> corrupt(std::string_view what) {
    return base::fail(ErrorCode::kCorrupt, fmt::format("the answer is no DNS message: {}", what));
  }

  std::optional<std::uint8_t> u8() {
    if (at_ >= bytes_.size()) return std::nullopt;
    return static_cast<std::uint8_t>(bytes_[at_++]);
  }
  std::optional<std::uint16_t> u16() {
    if (bytes_.size() - at_ < 2) return std::nullopt;
    const auto high = *u8();
    return static_cast<std::uint16_t>((std::uint16_t{high} << 8) | *u8());
  }
  std::optional<std::uint32_t> u32() {
    if (bytes_.size() - at_ < 4) return std::nullopt;
    const std::uint32_t high = *u16();
    return (high << 16) | *u16();
  }
  bool skip(std::size_t n) {
    if (bytes_.size() - at_ < n) return false;
    at_ += n;
    return true;
  }

  // A name may go on elsewhere, further to the front each time, so that it ends.
  base::Result<std::string> name() {
    std::string text;
    std::size_t at = at_;
    std::size_t before = at_;
    std::size_t size = 0;
    bool jumped = false;
    for (;;) {
      if (at >= bytes_.size()) return corrupt("a name is cut");
      const auto length = static_cast<std::uint8_t>(bytes_[at]);
      if ((length & 0xc0U) == 0xc0U) {
        if (at + 1 >= bytes_.size()) return corrupt("a name is cut");
        const std::size_t target = (std::size_t{length & 0x3fU} << 8) | static_cast<std::uint8_t>(bytes_[at + 1]);
        if (!std::exchange(jumped, true)) at_ = at + 2;
        if (target >= before) return corrupt("a name points forwards");
        at = before = target;
        continue;
      }
      if ((length & 0xc0U) != 0) return corrupt("a label of an unknown kind");
      if (length == 0) break;
      size += std::size_t{length} + 1;
      if (size > kNameBytesMax || at + 1 + length > bytes_.size()) return corrupt("a name is too long");
      for (const char c : bytes_.substr(at + 1, length))
        append_escaped(text, static_cast<unsigned char>(c), ".\\\"();@$ ");
      text += '.';
      at += std::size_t{length} + 1;
    }
    if (!jumped) at_ = at + 1;
    return text.empty() ? "." : text;
  }

  base::Result<DnsRecord> record() {
    QD_ASSIGN(const auto owner, name());
    const auto type = u16();
    const auto klass = u16();
    const auto ttl = u32();
    const auto length = u16();
    if (!type || !klass || !ttl || !length || bytes_.size() - at_ < *length) return corrupt("a record is cut");
    DnsRecord out{.text = {}, .type = *type, .serial = {}};
    out.text = fmt::format("{}\t{}\t{}\t{}\t", owner, *ttl, name_of(kClasses, *klass, "CLASS"),
                           name_of(kTypes, *type, "TYPE"));
    const std::size_t end = at_ + *length;
    QD_ASSIGN(const auto data, data_text(out, end));
    out.text += data;
    at_ = end;
    return out;
  }

  std::string generic(std::size_t end) const {
    std::string text = fmt::format("\\# {} ", end - at_);
    for (const char c : bytes_.substr(at_, end - at_)) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return text;
  }

  base::Result<std::string> data_text(DnsRecord& record, std::size_t end) {
    const std::size_t size = end - at_;
    std::array<char, INET6_ADDRSTRLEN> address{};
    switch (record.type) {
      case 1:
        if (size != 4) return corrupt("an A record is not 4 bytes");
        ::inet_ntop(AF_INET, bytes_.data() + at_, address.data(), address.size());
        return std::string(address.data());
      case 28:
        if (size != 16) return corrupt("an AAAA record is not 16 bytes");
        ::inet_ntop(AF_INET6, bytes_.data() + at_, address.data(), address.size());
        return std::string(address.data());
      case 2:
      case 5:
      case 12:
      case 39:
        return name();
      case 6:
        return soa(record, end);
      case 15: {
        const auto preference = u16();
        if (size < 3) return corrupt("an MX record is cut");
        QD_ASSIGN(const auto host, name());
        return fmt::format("{} {}", *preference, host);
      }
      case 16:
      case 99:
        return texts(end);
      case 33: {
        if (size < 7) return corrupt("an SRV record is cut");
        const auto priority = *u16();
        const auto weight = *u16();
        const auto port = *u16();
        QD_ASSIGN(const auto host, name());
        return fmt::format("{} {} {} {}", priority, weight, port, host);
      }
      case 257:
        return caa(end);
      default:
        return generic(end);
    }
  }

  base::Result<std::string> soa(DnsRecord& record, std::size_t end) {
    QD_ASSIGN(const auto server, name());
    QD_ASSIGN(const auto mailbox, name());
    if (at_ + 20 > end) return corrupt("an SOA record is cut");
    record.serial = u32();
    std::string text = fmt::format("{} {} {}", server, mailbox, *record.serial);
    for (int i = 0; i < 4; ++i) text += fmt::format(" {}", *u32());
    return text;
  }

  base::Result<std::string> texts(std::size_t end) {
    std::string text;
    while (at_ < end) {
      const std::size_t length = *u8();
      if (at_ + length > end) return corrupt("a TXT record is cut");
      if (!text.empty()) text += ' ';
      text += '"';
      for (const char c : bytes_.substr(at_, length)) append_escaped(text, static_cast<unsigned char>(c), "\"\\");
      text += '"';
      at_ += length;
    }
    return text;
  }

  base::Result<std::string> caa(std::size_t end) {
    if (end - at_ < 2) return corrupt("a CAA record is cut");
    std::string text = fmt::format("{} ", *u8());
    const std::size_t length = *u8();
    if (at_ + length > end) return corrupt("a CAA record is cut");
    for (const char c : bytes_.substr(at_, length)) append_escaped(text, static_cast<unsigned char>(c), "\"\\ ");
    at_ += length;
    text += " \"";
    for (const char c : bytes_.substr(at_, end - at_)) append_escaped(text, static_cast<unsigned char>(c), "\"\\");
    return text + '"';
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
};

void put_u16(std::string& out, std::uint16_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

}  // namespace

std::optional<std::uint16_t> dns_type(std::string_view name) {
  return number_of(kTypes, name);
}
std::optional<std::uint16_t> dns_class(std::string_view name) {
  return number_of(kClasses, name);
}
std::string dns_rcode_text(int rcode) {
  return name_of(kRcodes, static_cast<std::uint16_t>(rcode), "RCODE");
}
std::optional<int> dns_rcode(std::string_view name) {
  const auto number = number_of(kRcodes, name);
  return number ? std::optional<int>(*number) : std::nullopt;
}

base::Result<std::string> encode_dns_question(std::uint16_t id, const DnsQuestion& question) {
  const auto wrong = [&](std::string_view why) {
    return base::fail(ErrorCode::kInvalid, fmt::format("{:?} is no name to ask for: {}", question.name, why));
  };
  std::string out;
  put_u16(out, id);
  put_u16(out, question.recursion_desired ? 0x0100 : 0);
  put_u16(out, 1);
  out.append(6, '\0');
  std::string_view rest = question.name;
  if (rest.ends_with('.')) rest.remove_suffix(1);
  while (!rest.empty()) {
    const auto dot = rest.find('.');
    const auto label = rest.substr(0, dot);
    if (label.empty()) return wrong("it has an empty part");
    if (label.size() > kLabelBytesMax) return wrong(fmt::format("a part has more than {} bytes", kLabelBytesMax));
    out += static_cast<char>(label.size());
    out += label;
    if (dot != std::string_view::npos && dot + 1 == rest.size()) return wrong("it has an empty part");
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
  }
  out += '\0';
  if (out.size() - kHeaderBytes > kNameBytesMax) return wrong(fmt::format("it has more than {} bytes", kNameBytesMax));
  put_u16(out, question.type);
  put_u16(out, question.klass);
  return out;
}

base::Result<DnsMessage> decode_dns_message(std::string_view bytes) {
  return Reader(bytes).message();
}

}  // namespace qd::connect
