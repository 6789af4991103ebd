#include "act/notify/alertmanager_fields.h"

#include <algorithm>
#include <utility>

namespace qd::act::notify {
namespace {

constexpr std::pair<std::string_view, std::string_view> kSections[] = {
    {"the file",
     "global:{global templates:l route:a inhibit_rules:a receivers:[receiver mute_time_intervals:a "
     "time_intervals:a tracing:a"},
    {"global",
     "resolve_timeout:d http_config:{http_config smtp_from:t smtp_hello:t smtp_smarthost:t smtp_auth_username:t "
     "smtp_auth_password:t smtp_auth_password_file:t smtp_auth_secret:t smtp_auth_secret_file:t smtp_auth_identity:t "
     "smtp_require_tls:f smtp_tls_config:{tls_config smtp_force_implicit_tls:f slack_api_url:u slack_api_url_file:t "
     "slack_app_token:t slack_app_token_file:t slack_app_url:u pagerduty_url:u opsgenie_api_url:u opsgenie_api_key:t "
     "opsgenie_api_key_file:t wechat_api_url:u wechat_api_secret:t wechat_api_secret_file:t wechat_api_corp_id:t "
     "victorops_api_url:u victorops_api_key:t victorops_api_key_file:t telegram_api_url:u telegram_bot_token:t "
     "telegram_bot_token_file:t webex_api_url:u jira_api_url:u rocketchat_api_url:u rocketchat_token:t "
     "rocketchat_token_file:t rocketchat_token_id:t rocketchat_token_id_file:t"},
    {"http_config",
     "basic_auth:{basic_auth authorization:{authorization oauth2:{oauth2 bearer_token:t bearer_token_file:t "
     "follow_redirects:f enable_http2:f tls_config:{tls_config proxy_url:u no_proxy:t proxy_from_environment:f "
     "proxy_connect_header:a http_headers:a"},
    {"basic_auth", "username:t username_file:t username_ref:t password:t password_file:t password_ref:t"},
    {"authorization", "type:t credentials:t credentials_file:t credentials_ref:t"},
    {"oauth2",
     "client_id:t client_secret:t client_secret_file:t client_secret_ref:t scopes:l token_url:t endpoint_params:m "
     "tls_config:{tls_config proxy_url:u no_proxy:t proxy_from_environment:f proxy_connect_header:a"},
    {"tls_config",
     "ca:t cert:t key:t ca_file:t cert_file:t key_file:t server_name:t insecure_skip_verify:f min_version:t "
     "max_version:t"},
    {"receiver",
     "name:t discord_configs:[discord_config email_configs:[email_config incidentio_configs:[incidentio_config "
     "jira_configs:[jira_config mattermost_configs:[mattermost_config msteams_configs:[msteams_config "
     "msteamsv2_configs:[msteamsv2_config opsgenie_configs:[opsgenie_config pagerduty_configs:[pagerduty_config "
     "pushover_configs:[pushover_config rocketchat_configs:[rocketchat_config slack_configs:[slack_config "
     "sns_configs:[sns_config telegram_configs:[telegram_config victorops_configs:[victorops_config "
     "webex_configs:[webex_config webhook_configs:[webhook_config wechat_configs:[wechat_config"},
    {"discord_config",
     "send_resolved:f http_config:{http_config webhook_url:u webhook_url_file:t title:t message:t content:t "
     "username:t avatar_url:t"},
    {"email_config",
     "send_resolved:f to:t from:t hello:t smarthost:t auth_username:t auth_password:t auth_password_file:t "
     "auth_secret:t auth_secret_file:t auth_identity:t headers:m html:t text:t require_tls:f tls_config:{tls_config "
     "force_implicit_tls:f threading:a"},
    {"incidentio_config",
     "send_resolved:f http_config:{http_config url:u url_file:t alert_source_token:t alert_source_token_file:t "
     "max_alerts:i timeout:d"},
    {"jira_config",
     "send_resolved:f http_config:{http_config api_url:u api_type:t project:t summary:a description:a labels:l "
     "priority:t issue_type:t reopen_transition:t resolve_transition:t wont_fix_resolution:t reopen_duration:d "
     "fields:a custom_fields:a"},
    {"mattermost_config",
     "send_resolved:f http_config:{http_config webhook_url:u webhook_url_file:t channel:t username:t text:t "
     "icon_url:t icon_emoji:t attachments:a props:a priority:a type:t"},
    {"msteams_config",
     "send_resolved:f http_config:{http_config webhook_url:u webhook_url_file:t title:t summary:t text:t"},
    {"msteamsv2_config", "send_resolved:f http_config:{http_config webhook_url:u webhook_url_file:t title:t text:t"},
    {"opsgenie_config",
     "send_resolved:f http_config:{http_config api_key:t api_key_file:t api_url:u message:t description:t source:t "
     "details:m entity:t responders:[opsgenie_responder actions:t tags:t note:t priority:t update_alerts:f"},
    {"opsgenie_responder", "id:t name:t username:t type:t"},
    {"pagerduty_config",
     "send_resolved:f http_config:{http_config routing_key:t routing_key_file:t service_key:t service_key_file:t url:u "
     "client:t client_url:t description:t details:a images:[pagerduty_image links:[pagerduty_link source:t "
     "severity:t class:t component:t group:t timeout:d"},
    {"pagerduty_image", "href:t src:t alt:t text:t"},
    {"pagerduty_link", "href:t text:t"},
    {"pushover_config",
     "send_resolved:f http_config:{http_config user_key:t user_key_file:t token:t token_file:t title:t message:t "
     "url:t url_title:t device:t sound:t priority:t retry:d expire:d ttl:d html:f monospace:f"},
    {"rocketchat_config",
     "send_resolved:f http_config:{http_config api_url:u channel:t token:t token_file:t token_id:t token_id_file:t "
     "color:t emoji:t icon_url:t text:t title:t title_link:t short_fields:f fields:[slack_field image_url:t "
     "thumb_url:t link_names:f actions:[rocketchat_action"},
    {"rocketchat_action", "type:t text:t url:t msg:t"},
    {"slack_config",
     "send_resolved:f http_config:{http_config api_url:u api_url_file:t app_token:t app_token_file:t app_url:u "
     "channel:t username:t color:t title:t title_link:t pretext:t text:t fields:[slack_field short_fields:f footer:t "
     "fallback:t callback_id:t icon_emoji:t icon_url:t image_url:t thumb_url:t link_names:f mrkdwn_in:l "
     "actions:[slack_action timeout:d message_text:t"},
    {"slack_field", "title:t value:t short:f"},
    {"slack_action", "type:t text:t url:t style:t name:t value:t confirm:{slack_confirm"},
    {"slack_confirm", "text:t title:t ok_text:t dismiss_text:t"},
    {"sns_config",
     "send_resolved:f http_config:{http_config api_url:t sigv4:{sigv4 topic_arn:t phone_number:t target_arn:t "
     "subject:t message:t attributes:m"},
    {"sigv4",
     "region:t access_key:t secret_key:t profile:t role_arn:t external_id:t use_fips_sts_endpoint:f "
     "service_name:t"},
    {"telegram_config",
     "send_resolved:f http_config:{http_config api_url:u bot_token:t bot_token_file:t chat_id:i chat_id_file:t "
     "message_thread_id:i message:t disable_notifications:f parse_mode:t"},
    {"victorops_config",
     "send_resolved:f http_config:{http_config api_key:t api_key_file:t api_url:u routing_key:t message_type:t "
     "state_message:t entity_display_name:t monitoring_tool:t custom_fields:m"},
    {"webex_config", "send_resolved:f http_config:{http_config api_url:u message:t room_id:t"},
    {"webhook_config", "send_resolved:f http_config:{http_config url:u url_file:t max_alerts:i timeout:d payload:a"},
    {"wechat_config",
     "send_resolved:f http_config:{http_config api_secret:t api_secret_file:t corp_id:t message:t api_url:u "
     "to_user:t to_party:t to_tag:t agent_id:t message_type:t"},
    {"a route",
     "receiver:t group_by:l continue:f match:m match_re:m matchers:l group_wait:d group_interval:d "
     "repeat_interval:d mute_time_intervals:l active_time_intervals:l routes:a"},
    {"an inhibit rule",
     "name:t source_match:m source_match_re:m source_matchers:l target_match:m target_match_re:m target_matchers:l "
     "equal:l sources:a"},
    {"a time interval", "name:t time_intervals:[times"},
    {"times", "times:[time_range weekdays:l days_of_month:l months:l years:l location:t"},
    {"time_range", "start_time:t end_time:t"},
};

}  // namespace

std::string_view fields_of(std::string_view section) {
  const auto found = std::ranges::find(kSections, section, &std::pair<std::string_view, std::string_view>::first);
  return found == std::end(kSections) ? std::string_view() : found->second;
}

}  // namespace qd::act::notify
