// The words of a container's command, as the server in it gets them.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qd::observe::discovery {

using Environment = std::map<std::string, std::string>;

// The words that a POSIX shell would make of a text, as far as commands of containers need it: quotes, backslashes,
// $NAME and ${NAME}. What is beyond that (substitutions, pipes, redirections) stays as it is.
std::vector<std::string> shell_words(std::string_view text, const Environment& environment);

// The command's words; what is given to a shell by -c is taken apart.
std::vector<std::string> command_words(const std::vector<std::string>& command, const Environment& environment);

// The value of the last of these options, written "--port 1", "--port=1", or for one letter also "-p1".
std::optional<std::string> option(const std::vector<std::string>& words, std::initializer_list<std::string_view> names);

}  // namespace qd::observe::discovery
