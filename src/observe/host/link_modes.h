// What a network device's link can be: the bits of ETHTOOL_GLINKSETTINGS (linux/ethtool.h,
// ethtool_link_mode_bit_indices) under the names that node_exporter has for them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace qd::observe::host {

// A set of link modes. Linux has fewer than 128.
class LinkModes {
 public:
  static constexpr std::size_t kWords = 4;

  void assign(std::span<const std::uint32_t> words) {
    words_.fill(0);
    for (std::size_t i = 0; i < kWords && i < words.size(); ++i) words_[i] = words[i];
  }
  bool has(std::size_t bit) const { return (words_[bit / 32] >> (bit % 32) & 1) != 0; }

 private:
  std::array<std::uint32_t, kWords> words_{};
};

struct LinkSpeed {
  std::size_t bit;
  std::string_view mode;    // "10000baseT"
  std::string_view duplex;  // "full", "half"
  double bytes_per_s;
};
std::span<const LinkSpeed> link_speeds();

struct LinkPort {
  std::size_t bit;
  std::string_view type;
};
std::span<const LinkPort> link_ports();

}  // namespace qd::observe::host
