#include "ship/remote_write/settings.h"

#include <gtest/gtest.h>

#include <string>

#include "base/temp_directory.h"

namespace qd::ship::remote_write {
namespace {

std::string wrong(ForwardSettings settings) {
  const auto checked = check(settings);
  return checked ? "" : checked.error().message();
}

TEST(ForwardSettings, a_host_and_port_get_the_path_of_the_api_and_a_full_url_stays) {
  EXPECT_EQ(write_url("https://deck:9090"), "https://deck:9090/api/v1/write");
  EXPECT_EQ(write_url("https://deck:9090/"), "https://deck:9090/api/v1/write");
  EXPECT_EQ(write_url("http://[::1]:9090"), "http://[::1]:9090/api/v1/write");
  EXPECT_EQ(write_url("https://mimir/api/v1/push"), "https://mimir/api/v1/push");
  EXPECT_EQ(write_url("https://vm/api/v1/write?extra_label=a=b"), "https://vm/api/v1/write?extra_label=a=b");
}

TEST(ForwardSettings, urls_that_cannot_be_are_refused) {
  EXPECT_EQ(wrong({}), "");
  EXPECT_EQ(wrong({.url = "https://deck:9090"}), "");
  EXPECT_EQ(wrong({.url = "http://10.0.0.1"}), "");
  EXPECT_EQ(wrong({.url = "https://[fd00::1]:9090"}), "");
  for (const char* url :
       {"deck:9090", "ftp://deck", "https://", "https://:9090", "https://deck:0", "https://deck:70000",
        "https://deck:a", "https://[::1", "https://de ck", "https://deck/#x", "//deck"})
    EXPECT_NE(wrong({.url = url}).find("is no URL of a receiver"), std::string::npos) << url;
  EXPECT_NE(wrong({.url = "https://me:secret@deck"}).find("forward.user"), std::string::npos);
  EXPECT_EQ(wrong({.url = "https://me:secret@deck"}).find("secret@"), std::string::npos) << "it is not printed";
  EXPECT_EQ(wrong({.url = "https://deck/write?to=a@b"}), "");
}

TEST(ForwardSettings, credentials_do_not_leave_the_machine_in_the_clear) {
  EXPECT_NE(wrong({.url = "http://10.0.0.1:9090", .token = "t"}).find("in the clear"), std::string::npos);
  EXPECT_NE(wrong({.url = "http://10.0.0.1:9090", .user = "u", .password = "p"}).find("in the clear"),
            std::string::npos);
  EXPECT_NE(wrong({.url = "http://127.0.0.1.example.org", .token = "t"}), "");
  EXPECT_EQ(wrong({.url = "http://127.0.0.1:9090", .token = "t"}), "");
  EXPECT_EQ(wrong({.url = "http://[::1]:9090", .token = "t"}), "");
  EXPECT_EQ(wrong({.url = "https://10.0.0.1:9090", .token = "t"}), "");
}

TEST(ForwardSettings, halves_and_doubles_are_refused) {
  EXPECT_NE(wrong({.url = "https://deck", .token = "t", .user = "u"}), "");
  EXPECT_NE(wrong({.url = "https://deck", .password = "p"}), "");
  EXPECT_NE(wrong({.url = "https://deck", .cert_file = "c"}), "");
}

TEST(ForwardSettings, of_a_url_only_what_is_no_secret_is_shown) {
  EXPECT_EQ(shown_url("https://vm/api/v1/write?key=hush"), "https://vm/api/v1/write?<secret>");
  EXPECT_EQ(shown_url("https://deck:9090"), "https://deck:9090");
  EXPECT_EQ(shown_url("https://me:hush@deck/a"), "https://<secret>@deck/a");
  for (const char* url : {"ftp://deck/?hush", "https://deck/#hush", "https:/me:hush@deck", "https:///me:hush@deck"}) {
    EXPECT_NE(wrong({.url = url}), "") << url;
    EXPECT_EQ(wrong({.url = url}).find("hush"), std::string::npos) << wrong({.url = url});
  }
}

TEST(ForwardSettings, secrets_are_not_shown) {
  ForwardSettings settings;
  model::config::Schema schema;
  declare(schema, settings);
  ASSERT_TRUE(schema.load({.sets = {"forward.url=https://deck/w?key=hush", "forward.token=hush"}}));
  EXPECT_EQ(settings.token, "hush");
  const auto shown = schema.effective();
  EXPECT_EQ(shown.find("forward")->find("token")->text(), "<secret>");
  EXPECT_EQ(shown.find("forward")->find("url")->text(), "https://deck/w?<secret>");
}

TEST(ForwardSettings, credentials_without_a_receiver_are_refused) {
  EXPECT_NE(wrong({.token = "t"}).find("forward.token is set and forward.url is not"), std::string::npos);
  EXPECT_NE(wrong({.ca_file = "/ca.pem"}).find("forward.tls.ca_file is set"), std::string::npos);
  EXPECT_EQ(wrong({.host = "web-1"}), "") << "what is of no use alone does no harm";
}

TEST(ForwardSettings, certificates_that_cannot_be_read_are_told_at_once) {
  base::TempDirectory dir;
  base::PosixFiles files;
  const auto told = [&](const PemFiles& named) {
    const auto checked = check_files(named, "forward.tls", files);
    return checked ? "" : checked.error().message();
  };
  const std::string absent = dir / "absent.pem";
  EXPECT_NE(told({.ca_file = absent}).find("forward.tls.ca_file"), std::string::npos);
  EXPECT_NE(told({.ca_file = absent}).find("absent.pem"), std::string::npos);
  const std::string empty = dir / "empty.pem";
  ASSERT_TRUE(base::write_file_atomically(files, empty, "nothing"));
  EXPECT_NE(told({.key_file = empty}).find("there is no PEM"), std::string::npos);
  ASSERT_TRUE(base::write_file_atomically(files, empty, "-----BEGIN CERTIFICATE-----\n"));
  EXPECT_EQ(told({.ca_file = empty, .cert_file = empty, .key_file = empty}), "");
}

}  // namespace
}  // namespace qd::ship::remote_write
