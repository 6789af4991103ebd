#include "connect/tls_details.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace qd::connect {
namespace {

std::string hexadecimal(const unsigned char* bytes, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

std::optional<std::int64_t> expiry_s(const X509* certificate) {
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) return std::nullopt;
  return ::timegm(&time);
}

std::optional<std::int64_t> earliest_expiry_s(const STACK_OF(X509) * chain) {
  std::optional<std::int64_t> earliest;
  for (int i = 0; i < std::min(sk_X509_num(chain), kChainMax); ++i) {
    const auto expiry = expiry_s(sk_X509_value(chain, i));
    if (expiry && (!earliest || *expiry < *earliest)) earliest = expiry;
  }
  return earliest;
}

// The attributes that Go writes by name, in the order in which they stand in its text.
constexpr std::array<std::pair<int, std::string_view>, 9> kNamed = {{{NID_serialNumber, "SERIALNUMBER"},
                                                                     {NID_commonName, "CN"},
                                                                     {NID_organizationalUnitName, "OU"},
                                                                     {NID_organizationName, "O"},
                                                                     {NID_postalCode, "POSTALCODE"},
                                                                     {NID_streetAddress, "STREET"},
                                                                     {NID_localityName, "L"},
                                                                     {NID_stateOrProvinceName, "ST"},
                                                                     {NID_countryName, "C"}}};

std::string text_of(const X509_NAME_ENTRY* entry) {
  unsigned char* bytes = nullptr;
  const int size = ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(entry));
  if (size < 0) return {};
  std::string text(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return text;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool special = std::string_view(",+\"\\<>;").find(c) != std::string_view::npos ||
                         (i == 0 && (c == '#' || c == ' ')) || (i + 1 == text.size() && c == ' ');
    if (special) out += '\\';
    out += c;
  }
  return out;
}

// "1.2.840.113549.1.9.1=#0c05…": a text as DER, printable or UTF-8.
std::string unnamed(const X509_NAME_ENTRY* entry) {
  std::array<char, 128> oid{};
  OBJ_obj2txt(oid.data(), static_cast<int>(oid.size()), X509_NAME_ENTRY_get_object(entry), 1);
  const std::string text = text_of(entry);
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view(" '()+,-./:=?").find(c) != std::string_view::npos;
  });
  std::string der(1, static_cast<char>(printable ? V_ASN1_PRINTABLESTRING : V_ASN1_UTF8STRING));
  if (text.size() < 128) {
    der += static_cast<char>(text.size());
  } else {
    std::string size;
    for (std::size_t rest = text.size(); rest != 0; rest >>= 8) size.insert(size.begin(), static_cast<char>(rest));
    der += static_cast<char>(0x80 | size.size());
    der += size;
  }
  der += text;
  return fmt::format("{}=#{}", oid.data(), hexadecimal(reinterpret_cast<const unsigned char*>(der.data()), der.size()));
}

std::string name_text(const X509_NAME* name) {
  std::string out;
  const auto begin_part = [&out] {
    if (!out.empty()) out += ',';
  };
  const int entries = X509_NAME_entry_count(name);
  const auto nid = [&](int i) { return OBJ_obj2nid(X509_NAME_ENTRY_get_object(X509_NAME_get_entry(name, i))); };
  for (const auto& [wanted, shown] : kNamed) {
    bool begun = false;
    for (int i = 0; i < entries; ++i) {
      if (nid(i) != wanted) continue;
      // The last one counts of what a name has once; the others come together.
      if (wanted == NID_commonName || wanted == NID_serialNumber) {
        bool later = false;
        for (int j = i + 1; j < entries; ++j) later = later || nid(j) == wanted;
        if (later) continue;
      }
      if (std::exchange(begun, true)) {
        out += '+';
      } else {
        begin_part();
      }
      out += fmt::format("{}={}", shown, escaped(text_of(X509_NAME_get_entry(name, i))));
    }
  }
  for (int i = entries - 1; i >= 0; --i) {
    const int here = nid(i);
    if (std::any_of(kNamed.begin(), kNamed.end(), [&](const auto& known) { return known.first == here; })) continue;
    begin_part();
    out += unnamed(X509_NAME_get_entry(name, i));
  }
  return out;
}

std::string dns_names(X509* certificate) {
  struct Free {
    void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
  };
  const std::unique_ptr<GENERAL_NAMES, Free> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string out;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                                static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    if (out.size() + text.size() + 1 > kDnsNamesBytesMax) break;
    if (!out.empty()) out += ',';
    out += text;
  }
  return out;
}

std::string serial(const X509* certificate) {
  struct Free {
    void operator()(BIGNUM* number) const { BN_free(number); }
  };
  const std::unique_ptr<BIGNUM, Free> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  if (!number) return {};
  std::vector<unsigned char> bytes(static_cast<std::size_t>(BN_num_bytes(number.get())));
  BN_bn2bin(number.get(), bytes.data());
  return hexadecimal(bytes.data(), bytes.size());
}

std::string version(const SSL* session) {
  switch (SSL_version(session)) {
    case TLS1_VERSION:
      return "TLS 1.0";
    case TLS1_1_VERSION:
      return "TLS 1.1";
    case TLS1_2_VERSION:
      return "TLS 1.2";
    case TLS1_3_VERSION:
      return "TLS 1.3";
    default:
      return SSL_get_version(session);
  }
}

}  // namespace

TlsDetails tls_details(ssl_st* session) {
  TlsDetails details;
  details.version = version(session);
  if (const SSL_CIPHER* cipher = SSL_get_current_cipher(session); cipher != nullptr) {
    const char* name = SSL_CIPHER_standard_name(cipher);
    details.cipher = name != nullptr ? name : SSL_CIPHER_get_name(cipher);
  }
  if (const auto* chain = SSL_get_peer_cert_chain(session); chain != nullptr) {
    details.earliest_expiry_s = earliest_expiry_s(chain);
  }
  const bool verified =
      (SSL_get_verify_mode(session) & SSL_VERIFY_PEER) != 0 && SSL_get_verify_result(session) == X509_V_OK;
  if (const auto* chain = verified ? SSL_get0_verified_chain(session) : nullptr; chain != nullptr) {
    details.verified_expiry_s = earliest_expiry_s(chain);
  }
  X509* const own = SSL_get0_peer_certificate(session);
  if (own == nullptr) return details;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(own, EVP_sha256(), digest.data(), &size) == 1)
    details.fingerprint_sha256 = hexadecimal(digest.data(), size);
  details.subject = name_text(X509_get_subject_name(own));
  details.issuer = name_text(X509_get_issuer_name(own));
  details.dns_names = dns_names(own);
  details.serial = serial(own);
  return details;
}

}  // namespace qd::connect
