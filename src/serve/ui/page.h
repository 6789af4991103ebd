// The web page: files built from ui/, compressed, inside the program.
//
// Files with a hash in their name (/assets/…) are cached for good; index.html is asked for again each time, by its
// entity tag. Paths of the page's own views ("/explore") get index.html. No other path is the page's; a browser that
// asks for one gets index.html with status 404.
#pragma once

#include <span>
#include <string_view>

#include "serve/router.h"

namespace qd::serve::ui {

struct PageFile {
  std::string_view path;  // "/index.html"
  std::string_view content_type;
  std::string_view entity_tag;
  std::string_view gzip;
};

// Sorted by path. Its source is made by tools/embed while building.
std::span<const PageFile> page_files();

void add_routes(Router& router);

}  // namespace qd::serve::ui
