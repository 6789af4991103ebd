// Everything that a probe can tell, under the names of blackbox_exporter.
#pragma once

#include <span>

#include "observe/family_info.h"

namespace qd::observe::probe {

extern const FamilyInfo kSuccess;
extern const FamilyInfo kDuration;
extern const FamilyInfo kDnsLookupTime;
extern const FamilyInfo kIpProtocol;
extern const FamilyInfo kIpAddrHash;
extern const FamilyInfo kFailedDueToRegex;

extern const FamilyInfo kHttpDuration;
extern const FamilyInfo kHttpContentLength;
extern const FamilyInfo kHttpBodyLength;
extern const FamilyInfo kHttpRedirects;
extern const FamilyInfo kHttpSsl;
extern const FamilyInfo kHttpStatusCode;
extern const FamilyInfo kHttpVersion;
extern const FamilyInfo kHttpLastModified;

extern const FamilyInfo kSslEarliestExpiry;
extern const FamilyInfo kSslChainExpiry;
extern const FamilyInfo kSslChainInfo;
extern const FamilyInfo kTlsVersion;
extern const FamilyInfo kTlsCipher;

extern const FamilyInfo kExpectInfo;

extern const FamilyInfo kDnsDuration;
extern const FamilyInfo kDnsAnswers;
extern const FamilyInfo kDnsAuthorities;
extern const FamilyInfo kDnsAdditionals;
extern const FamilyInfo kDnsSucceeded;
extern const FamilyInfo kDnsSerial;

extern const FamilyInfo kIcmpDuration;
extern const FamilyInfo kIcmpHopLimit;

extern const FamilyInfo kGrpcDuration;
extern const FamilyInfo kGrpcHealth;
extern const FamilyInfo kGrpcSsl;
extern const FamilyInfo kGrpcStatusCode;

// Of the exporter itself.
extern const FamilyInfo kReloadSuccessful;
extern const FamilyInfo kReloadTime;
extern const FamilyInfo kModuleUnknown;

std::span<const FamilyInfo> families();
std::span<const LeftOut> left_out();

}  // namespace qd::observe::probe
