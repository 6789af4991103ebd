#include "observe/host/link_modes.h"

#include <linux/ethtool.h>

namespace qd::observe::host {
namespace {

// Speeds are told in bytes per second, as the link's own speed is (node_network_speed_bytes).
constexpr double kMegabit = 1e6 / 8;

constexpr auto kSpeeds = std::to_array<LinkSpeed>({
    {ETHTOOL_LINK_MODE_10baseT_Half_BIT, "10baseT", "half", 10 * kMegabit},
    {ETHTOOL_LINK_MODE_10baseT_Full_BIT, "10baseT", "full", 10 * kMegabit},
    {ETHTOOL_LINK_MODE_100baseT_Half_BIT, "100baseT", "half", 100 * kMegabit},
    {ETHTOOL_LINK_MODE_100baseT_Full_BIT, "100baseT", "full", 100 * kMegabit},
    {ETHTOOL_LINK_MODE_1000baseT_Half_BIT, "1000baseT", "half", 1000 * kMegabit},
    {ETHTOOL_LINK_MODE_1000baseT_Full_BIT, "1000baseT", "full", 1000 * kMegabit},
    {ETHTOOL_LINK_MODE_10000baseT_Full_BIT, "10000baseT", "full", 10000 * kMegabit},
    {ETHTOOL_LINK_MODE_2500baseX_Full_BIT, "2500baseX", "full", 2500 * kMegabit},
    {ETHTOOL_LINK_MODE_1000baseKX_Full_BIT, "1000baseKX", "full", 1000 * kMegabit},
    {ETHTOOL_LINK_MODE_10000baseKX4_Full_BIT, "10000baseKX4", "full", 10000 * kMegabit},
    {ETHTOOL_LINK_MODE_10000baseKR_Full_BIT, "10000baseKR", "full", 10000 * kMegabit},
    {ETHTOOL_LINK_MODE_10000baseR_FEC_BIT, "10000baseR_FEC", "full", 10000 * kMegabit},
    {ETHTOOL_LINK_MODE_20000baseMLD2_Full_BIT, "20000baseMLD2", "full", 20000 * kMegabit},
    {ETHTOOL_LINK_MODE_20000baseKR2_Full_BIT, "20000baseKR2", "full", 20000 * kMegabit},
    {ETHTOOL_LINK_MODE_40000baseKR4_Full_BIT, "40000baseKR4", "full", 40000 * kMegabit},
    {ETHTOOL_LINK_MODE_40000baseCR4_Full_BIT, "40000baseCR4", "full", 40000 * kMegabit},
    {ETHTOOL_LINK_MODE_40000baseSR4_Full_BIT, "40000baseSR4", "full", 40000 * kMegabit},
    {ETHTOOL_LINK_MODE_40000baseLR4_Full_BIT, "40000baseLR4", "full", 40000 * kMegabit},
    {ETHTOOL_LINK_MODE_56000baseKR4_Full_BIT, "56000baseKR4", "full", 56000 * kMegabit},
    {ETHTOOL_LINK_MODE_56000baseCR4_Full_BIT, "56000baseCR4", "full", 56000 * kMegabit},
    {ETHTOOL_LINK_MODE_56000baseSR4_Full_BIT, "56000baseSR4", "full", 56000 * kMegabit},
    {ETHTOOL_LINK_MODE_56000baseLR4_Full_BIT, "56000baseLR4", "full", 56000 * kMegabit},
    {ETHTOOL_LINK_MODE_25000baseCR_Full_BIT, "25000baseCR", "full", 25000 * kMegabit},
    {ETHTOOL_LINK_MODE_25000baseKR_Full_BIT, "25000baseKR", "full", 25000 * kMegabit},
    {ETHTOOL_LINK_MODE_25000baseSR_Full_BIT, "25000baseSR", "full", 25000 * kMegabit},
    {ETHTOOL_LINK_MODE_50000baseCR2_Full_BIT, "50000baseCR2", "full", 50000 * kMegabit},
    {ETHTOOL_LINK_MODE_50000baseKR2_Full_BIT, "50000baseKR2", "full", 50000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseKR4_Full_BIT, "100000baseKR4", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseSR4_Full_BIT, "100000baseSR4", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseCR4_Full_BIT, "100000baseCR4", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseLR4_ER4_Full_BIT, "100000baseLR4_ER4", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_50000baseSR2_Full_BIT, "50000baseSR2", "full", 50000 * kMegabit},
    {ETHTOOL_LINK_MODE_1000baseX_Full_BIT, "1000baseX", "full", 1000 * kMegabit},
    {ETHTOOL_LINK_MODE_10000baseCR_Full_BIT, "10000baseCR", "full", 10000 * kMegabit},
    {ETHTOOL_LINK_MODE_10000baseSR_Full_BIT, "10000baseSR", "full", 10000 * kMegabit},
    {ETHTOOL_LINK_MODE_10000baseLR_Full_BIT, "10000baseLR", "full", 10000 * kMegabit},
    {ETHTOOL_LINK_MODE_10000baseLRM_Full_BIT, "10000baseLRM", "full", 10000 * kMegabit},
    {ETHTOOL_LINK_MODE_10000baseER_Full_BIT, "10000baseER", "full", 10000 * kMegabit},
    {ETHTOOL_LINK_MODE_2500baseT_Full_BIT, "2500baseT", "full", 2500 * kMegabit},
    {ETHTOOL_LINK_MODE_5000baseT_Full_BIT, "5000baseT", "full", 5000 * kMegabit},
    {ETHTOOL_LINK_MODE_50000baseKR_Full_BIT, "50000baseKR", "full", 50000 * kMegabit},
    {ETHTOOL_LINK_MODE_50000baseSR_Full_BIT, "50000baseSR", "full", 50000 * kMegabit},
    {ETHTOOL_LINK_MODE_50000baseCR_Full_BIT, "50000baseCR", "full", 50000 * kMegabit},
    {ETHTOOL_LINK_MODE_50000baseLR_ER_FR_Full_BIT, "50000baseLR_ER_FR", "full", 50000 * kMegabit},
    {ETHTOOL_LINK_MODE_50000baseDR_Full_BIT, "50000baseDR", "full", 50000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseKR2_Full_BIT, "100000baseKR2", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseSR2_Full_BIT, "100000baseSR2", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseCR2_Full_BIT, "100000baseCR2", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseLR2_ER2_FR2_Full_BIT, "100000baseLR2_ER2_FR2", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseDR2_Full_BIT, "100000baseDR2", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_200000baseKR4_Full_BIT, "200000baseKR4", "full", 200000 * kMegabit},
    {ETHTOOL_LINK_MODE_200000baseSR4_Full_BIT, "200000baseSR4", "full", 200000 * kMegabit},
    {ETHTOOL_LINK_MODE_200000baseLR4_ER4_FR4_Full_BIT, "200000baseLR4_ER4_FR4", "full", 200000 * kMegabit},
    {ETHTOOL_LINK_MODE_200000baseDR4_Full_BIT, "200000baseDR4", "full", 200000 * kMegabit},
    {ETHTOOL_LINK_MODE_200000baseCR4_Full_BIT, "200000baseCR4", "full", 200000 * kMegabit},
    {ETHTOOL_LINK_MODE_100baseT1_Full_BIT, "100baseT1", "full", 100 * kMegabit},
    {ETHTOOL_LINK_MODE_1000baseT1_Full_BIT, "1000baseT1", "full", 1000 * kMegabit},
    {ETHTOOL_LINK_MODE_400000baseKR8_Full_BIT, "400000baseKR8", "full", 400000 * kMegabit},
    {ETHTOOL_LINK_MODE_400000baseSR8_Full_BIT, "400000baseSR8", "full", 400000 * kMegabit},
    {ETHTOOL_LINK_MODE_400000baseLR8_ER8_FR8_Full_BIT, "400000baseLR8_ER8_FR8", "full", 400000 * kMegabit},
    {ETHTOOL_LINK_MODE_400000baseDR8_Full_BIT, "400000baseDR8", "full", 400000 * kMegabit},
    {ETHTOOL_LINK_MODE_400000baseCR8_Full_BIT, "400000baseCR8", "full", 400000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseKR_Full_BIT, "100000baseKR", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseSR_Full_BIT, "100000baseSR", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseLR_ER_FR_Full_BIT, "100000baseLR_ER_FR", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseCR_Full_BIT, "100000baseCR", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_100000baseDR_Full_BIT, "100000baseDR", "full", 100000 * kMegabit},
    {ETHTOOL_LINK_MODE_200000baseKR2_Full_BIT, "200000baseKR2", "full", 200000 * kMegabit},
    {ETHTOOL_LINK_MODE_200000baseSR2_Full_BIT, "200000baseSR2", "full", 200000 * kMegabit},
    {ETHTOOL_LINK_MODE_200000baseLR2_ER2_FR2_Full_BIT, "200000baseLR2_ER2_FR2", "full", 200000 * kMegabit},
    {ETHTOOL_LINK_MODE_200000baseDR2_Full_BIT, "200000baseDR2", "full", 200000 * kMegabit},
    {ETHTOOL_LINK_MODE_200000baseCR2_Full_BIT, "200000baseCR2", "full", 200000 * kMegabit},
    {ETHTOOL_LINK_MODE_400000baseKR4_Full_BIT, "400000baseKR4", "full", 400000 * kMegabit},
    {ETHTOOL_LINK_MODE_400000baseSR4_Full_BIT, "400000baseSR4", "full", 400000 * kMegabit},
    {ETHTOOL_LINK_MODE_400000baseLR4_ER4_FR4_Full_BIT, "400000baseLR4_ER4_FR4", "full", 400000 * kMegabit},
    {ETHTOOL_LINK_MODE_400000baseDR4_Full_BIT, "400000baseDR4", "full", 400000 * kMegabit},
    {ETHTOOL_LINK_MODE_400000baseCR4_Full_BIT, "400000baseCR4", "full", 400000 * kMegabit},
    {ETHTOOL_LINK_MODE_100baseFX_Half_BIT, "100baseFX", "half", 100 * kMegabit},
    {ETHTOOL_LINK_MODE_100baseFX_Full_BIT, "100baseFX", "full", 100 * kMegabit},
    {ETHTOOL_LINK_MODE_10baseT1L_Full_BIT, "10baseT1L", "full", 10 * kMegabit},
});

constexpr auto kPorts = std::to_array<LinkPort>({
    {ETHTOOL_LINK_MODE_AUI_BIT, "AUI"},
    {ETHTOOL_LINK_MODE_BNC_BIT, "BNC"},
    {ETHTOOL_LINK_MODE_Backplane_BIT, "Backplane"},
    {ETHTOOL_LINK_MODE_FIBRE_BIT, "FIBRE"},
    {ETHTOOL_LINK_MODE_MII_BIT, "MII"},
    {ETHTOOL_LINK_MODE_TP_BIT, "TP"},
});

}  // namespace

std::span<const LinkSpeed> link_speeds() {
  return kSpeeds;
}

std::span<const LinkPort> link_ports() {
  return kPorts;
}

}  // namespace qd::observe::host
