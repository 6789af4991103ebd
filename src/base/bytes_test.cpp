#include "base/bytes.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

namespace qd::base {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, matches_the_published_examples) {
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\0'))), 0x8a9136aaU);
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\xff'))), 0x62a8ab43U);
  std::string rising;
  for (char c = 0; c < 32; ++c) rising.push_back(c);
  EXPECT_EQ(crc32c(as_bytes(rising)), 0x46dd794eU);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, tables_and_hardware_agree_on_every_length_and_alignment) {
  std::mt19937_64 random(1);
  std::string text(300, '\0');
  for (char& c : text) c = static_cast<char>(random());
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t n = 0; n + from <= text.size(); ++n) {
      const auto part = as_bytes(std::string_view(text).substr(from, n));
      ASSERT_EQ(crc32c(part), crc32c_portable(part)) << from << " " << n;
    }
  }
}

TEST(Crc32c, goes_on_from_what_came_before) {
  const std::string_view text = "the quick brown fox";
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(crc32c(as_bytes(text.substr(cut)), crc32c(as_bytes(text.substr(0, cut)))), crc32c(as_bytes(text)));
}

TEST(Bytes, what_is_written_is_read) {
  const std::vector<std::int64_t> numbers = {0,
                                             1,
                                             -1,
                                             63,
                                             -64,
                                             64,
                                             300,
                                             -70'000,
                                             std::numeric_limits<std::int64_t>::max(),
                                             std::numeric_limits<std::int64_t>::min()};
  std::string out;
  ByteWriter writer(out);
  writer.fixed(std::uint32_t{0xdeadbeef});
  writer.fixed(0.5);
  for (const auto number : numbers) {
    writer.signed_varint(number);
    writer.varint(static_cast<std::uint64_t>(number));
  }
  writer.text("hello");
  writer.raw(as_bytes("raw"));
  EXPECT_EQ(static_cast<unsigned char>(out[0]), 0xef);

  ByteReader reader(as_bytes(out));
  EXPECT_EQ(reader.fixed<std::uint32_t>(), 0xdeadbeef);
  EXPECT_EQ(reader.fixed<double>(), 0.5);
  for (const auto number : numbers) {
    EXPECT_EQ(reader.signed_varint(), number);
    EXPECT_EQ(reader.varint(), static_cast<std::uint64_t>(number));
  }
  EXPECT_EQ(reader.text(), "hello");
  EXPECT_EQ(as_text(reader.raw(3)), "raw");
  EXPECT_TRUE(reader.at_end());
  EXPECT_TRUE(reader.ok());
}

TEST(Bytes, every_cut_of_a_record_is_noticed) {
  std::string out;
  ByteWriter writer(out);
  writer.varint(1'000'000);
  writer.text("some text");
  writer.fixed(std::uint64_t{7});
  for (std::size_t n = 0; n < out.size(); ++n) {
    ByteReader reader(as_bytes(std::string_view(out).substr(0, n)));
    (void)reader.varint();
    (void)reader.text();
    (void)reader.fixed<std::uint64_t>();
    EXPECT_FALSE(reader.ok()) << n;
  }
}

TEST(Bytes, hostile_varints_and_lengths_fail_without_reading_on) {
  const std::string endless(20, '\xff');
  ByteReader reader(as_bytes(endless));
  EXPECT_EQ(reader.varint(), 0U);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0U);

  const std::string too_wide = std::string(9, '\xff') + '\x02';  // bit 64
  ByteReader wide(as_bytes(too_wide));
  EXPECT_EQ(wide.varint(), 0U);
  EXPECT_FALSE(wide.ok());

  std::string huge_length;
  ByteWriter writer(huge_length);
  writer.varint(std::numeric_limits<std::uint64_t>::max());
  huge_length += "abc";
  ByteReader huge(as_bytes(huge_length));
  EXPECT_EQ(huge.text(), "");
  EXPECT_FALSE(huge.ok());
}

}  // namespace
}  // namespace qd::base
