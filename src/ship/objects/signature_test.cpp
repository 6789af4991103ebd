#include "ship/objects/signature.h"

#include <gtest/gtest.h>

namespace qd::ship::objects {
namespace {

// The examples of "Signature Calculations for the Authorization Header", Amazon S3 API Reference.
const Credentials kExample{.access_key = "AKIAIOSFODNN7EXAMPLE",
                           .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                           .region = "us-east-1"};
constexpr model::TimestampMs kExampleTime = 1'369'353'600'000;  // 2013-05-24T00:00:00Z

std::string signature_of(std::string_view authorization) {
  return std::string(authorization.substr(authorization.find("Signature=") + 10));
}

TEST(SignatureTest, a_download_is_signed_as_documented) {
  SignedRequest request{.method = "GET",
                        .path = "/test.txt",
                        .headers = {{"host", "examplebucket.s3.amazonaws.com"}, {"range", "bytes=0-9"}},
                        .body_sha256 = sha256_hex("")};
  EXPECT_EQ(sign(request, kExample, kExampleTime),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SignatureTest, an_upload_is_signed_as_documented) {
  SignedRequest request{.method = "PUT",
                        .path = "/test$file.text",
                        .headers = {{"host", "examplebucket.s3.amazonaws.com"},
                                    {"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                    {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                        .body_sha256 = sha256_hex("Welcome to Amazon S3.")};
  EXPECT_EQ(signature_of(sign(request, kExample, kExampleTime)),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(target_of(request), "/test%24file.text");
}

TEST(SignatureTest, a_query_is_signed_as_documented) {
  SignedRequest request{.method = "GET",
                        .path = "/",
                        .query = {{"lifecycle", ""}},
                        .headers = {{"host", "examplebucket.s3.amazonaws.com"}},
                        .body_sha256 = sha256_hex("")};
  EXPECT_EQ(signature_of(sign(request, kExample, kExampleTime)),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  request.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(signature_of(sign(request, kExample, kExampleTime)),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
  EXPECT_EQ(target_of(request), "/?max-keys=2&prefix=J");
}

TEST(SignatureTest, digests_are_what_they_are) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(md5_base64(""), "1B2M2Y8AsgTpgAmY7PhCfg==");
}

}  // namespace
}  // namespace qd::ship::objects
