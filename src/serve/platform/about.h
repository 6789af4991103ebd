// Quarterdeck's own API, /api/platform/v1: `about` says which Quarterdeck runs and where it keeps its data. The
// description of the Prometheus API has no place for that, and its answers are held to it.
//
// GET /api/platform/v1/about: {"status":"success","data":{"version","revision","build","dataDir"}}, all texts.
#pragma once

#include <string>

#include "serve/router.h"

namespace qd::serve::platform {

struct About {
  std::string data_dir;  // absolute
};

void add_about_route(Router& router, const About& about);

}  // namespace qd::serve::platform
