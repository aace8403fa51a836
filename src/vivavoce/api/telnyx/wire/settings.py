"""The nested settings of an assistant (contract, section 2.1).

Only what the contract says is checked. All shapes are open: fields that are not known here are kept and returned.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from vivavoce.api.shape import Flag, Number, Whole, fault, omitted, private_host, refuse

FIRST_INSIGHT_MODEL = "zai-org/GLM-5.3-Flash"
"""The model of ``insight_settings`` that are created without one."""


def _outside(url: str) -> str:
    if private_host(url):
        raise PydanticCustomError("private_host", "The URL must name a host that can be reached from outside")
    return url


class ExternalLLM(BaseModel, frozen=True, extra="allow"):
    """An OpenAI-compatible endpoint of one's own."""

    base_url: str
    model: str
    llm_api_key_ref: str = omitted()
    authentication_method: Literal["token", "certificate"] = omitted()
    certificate_ref: str = omitted()
    token_retrieval_url: str = omitted()
    forward_metadata: Flag = omitted()


class FallbackConfig(BaseModel, frozen=True, extra="allow"):
    """The model that is used when the first one's provider is down."""

    model: str = omitted()
    llm_api_key_ref: str = omitted()
    external_llm: ExternalLLM = omitted()


class PredefinedBackground(BaseModel, frozen=True, extra="allow"):
    """Background audio that comes with the platform."""

    type: Literal["predefined_media"]
    value: Literal["silence", "office"]
    volume: Annotated[Number, Field(ge=0.1, le=1)] = omitted()


class MediaUrl(BaseModel, frozen=True, extra="allow"):
    """An MP3 file, in a loop."""

    type: Literal["media_url"]
    value: str


class MediaName(BaseModel, frozen=True, extra="allow"):
    """A file of the media storage."""

    type: Literal["media_name"]
    value: str


class PredefinedToolAudio(BaseModel, frozen=True, extra="allow"):
    """A sound that comes with the platform, while a tool runs."""

    type: Literal["predefined_media"]
    value: Literal["typing"]
    volume: Annotated[Number, Field(ge=0, le=1)] = omitted()


BackgroundAudio = Annotated[PredefinedBackground | MediaUrl | MediaName, Field(discriminator="type")]
ToolCallAudio = Annotated[PredefinedToolAudio | MediaUrl, Field(discriminator="type")]
# fmt: off
LanguageBoost = Literal[
    "auto", "Chinese", "Chinese,Yue", "English", "Arabic", "Russian", "Spanish", "French", "Portuguese", "German",
    "Turkish", "Dutch", "Ukrainian", "Vietnamese", "Indonesian", "Japanese", "Italian", "Korean", "Thai", "Polish",
    "Romanian", "Greek", "Czech", "Finnish", "Hindi", "Bulgarian", "Danish", "Hebrew", "Malay", "Persian", "Slovak",
    "Swedish", "Croatian", "Filipino", "Hungarian", "Norwegian", "Slovenian", "Catalan", "Nynorsk", "Tamil",
    "Afrikaans",
]
# fmt: on


class VoiceSettings(BaseModel, frozen=True, extra="allow"):
    """How the assistant sounds. The ranges of speeds are the engines' own, and are not checked here."""

    voice: str
    api_key_ref: str = omitted()
    voice_speed: Number = omitted()
    speed: Number = omitted()
    style: Number = omitted()
    temperature: Number = omitted()
    similarity_boost: Number = omitted()
    use_speaker_boost: Flag = omitted()
    expressive_mode: Flag = omitted()
    language_boost: LanguageBoost | None = omitted()
    background_audio: BackgroundAudio = omitted()
    tool_call_audio: ToolCallAudio | None = omitted()


class TranscriptionSettings(BaseModel, frozen=True, extra="allow"):
    """The engine's settings; which apply depends on the model."""

    smart_format: Flag = omitted()
    numerals: Flag = omitted()
    eot_threshold: Annotated[Number, Field(ge=0.5, le=0.9)] = omitted()
    eot_timeout_ms: Annotated[Whole, Field(ge=500, le=10000)] = omitted()
    eager_eot_threshold: Annotated[Number, Field(ge=0.3, le=0.9)] = omitted()
    min_turn_silence: Annotated[Whole, Field(ge=100, le=5000)] = omitted()
    max_turn_silence: Annotated[Whole, Field(ge=100, le=5000)] = omitted()
    end_of_turn_confidence_threshold: Annotated[Number, Field(ge=0, le=1)] = omitted()
    prompt: Annotated[str, Field(max_length=1750)] = omitted()
    interim_results: Flag = omitted()
    enable_endpoint_detection: Flag = omitted()
    max_endpoint_delay_ms: Annotated[Whole, Field(ge=500, le=3000)] = omitted()
    context: Annotated[str, Field(max_length=10000)] = omitted()
    language_hints: list[str] = omitted()
    keyterm: Annotated[str, Field(max_length=1000)] = omitted()
    remove_disfluencies: Flag = omitted()

    @model_validator(mode="after")
    def _eager_comes_first(self) -> Self:
        given = {"eager_eot_threshold", "eot_threshold"} <= self.model_fields_set
        if given and self.eager_eot_threshold > self.eot_threshold:
            message = "Input should be at most eot_threshold"
            raise refuse(fault("less_than_equal", message, self.eager_eot_threshold, ("eager_eot_threshold",)))
        return self


class Challenger(BaseModel, frozen=True, extra="allow"):
    """A second transcription model that competes with the first."""

    model: str
    language: str | None = omitted()
    rule: Literal["best_turn", "best_engine", "merge_words"] = omitted()
    settings: TranscriptionSettings | None = omitted()


class FallbackModel(BaseModel, frozen=True, extra="allow"):
    """A streaming transcription model that takes over."""

    model: str
    language: str | None = omitted()
    settings: TranscriptionSettings | None = omitted()


class Transcription(BaseModel, frozen=True, extra="allow"):
    """How speech becomes text. Any model is accepted: the list of them changes with every release."""

    model: str = omitted()
    language: str = omitted()
    region: str = omitted()
    api_key_ref: str = omitted()
    settings: TranscriptionSettings = omitted()
    fallback_models: Annotated[list[FallbackModel], Field(max_length=3)] | None = omitted()
    challenger: Challenger | None = omitted()

    @model_validator(mode="after")
    def _one_kind_of_second_model(self) -> Self:
        if self.fallback_models and self.challenger:
            message = "fallback_models cannot be combined with challenger"
            raise refuse(fault("value_error", message, None, ("fallback_models",)))
        return self


class NoiseSuppressionConfig(BaseModel, frozen=True, extra="allow"):
    """The engine's settings; which apply depends on ``noise_suppression``."""

    attenuation_limit: Annotated[Whole, Field(ge=0, le=100)] = omitted()
    mode: Literal["advanced"] = omitted()
    family: Literal["quail"] = omitted()
    size: Literal["vf", "vf_2_0_l"] = omitted()
    enhancement_level: Annotated[Number, Field(ge=0, le=1)] = omitted()


class RecordingSettings(BaseModel, frozen=True, extra="allow"):
    """How calls are recorded."""

    enabled: Flag = omitted()
    channels: Literal["single", "dual"] = omitted()
    format: Literal["wav", "mp3"] = omitted()
    stop_on_conversation_end: Flag = omitted()


class VoicemailMessage(BaseModel, frozen=True, extra="allow"):
    """What is left on a voicemail."""

    type: Literal["prompt", "message"] = omitted()
    prompt: str = omitted()
    message: str = omitted()


class OnVoicemail(BaseModel, frozen=True, extra="allow"):
    """What is done when a voicemail answers."""

    action: Literal["stop_assistant", "leave_message_and_stop_assistant", "continue_assistant"] = omitted()
    voicemail_message: VoicemailMessage = omitted()


class VoicemailDetection(BaseModel, frozen=True, extra="allow"):
    """What is done when a voicemail answers."""

    on_voicemail_detected: OnVoicemail = omitted()


class TelephonySettings(BaseModel, frozen=True, extra="allow"):
    """Settings for calls."""

    default_texml_app_id: str = omitted()
    supports_unauthenticated_web_calls: Flag = omitted()
    noise_suppression: Literal["aicoustics", "krisp", "deepfilternet", "disabled"] = omitted()
    noise_suppression_config: NoiseSuppressionConfig = omitted()
    time_limit_secs: Annotated[Whole, Field(ge=30, le=14400)] = omitted()
    user_idle_timeout_secs: Annotated[Whole, Field(ge=10, le=14400)] = omitted()
    user_idle_reply_secs: Annotated[Whole, Field(ge=0)] = omitted()
    recording_settings: RecordingSettings = omitted()
    voicemail_detection: VoicemailDetection = omitted()
    disable_dtmf: Flag = omitted()
    fallback_destination: str = omitted()
    send_message_history_updates: Flag = omitted()
    conversation_ended_full_history: Flag = omitted()


class MessagingSettings(BaseModel, frozen=True, extra="allow"):
    """Settings for text messages."""

    default_messaging_profile_id: str = omitted()
    delivery_status_webhook_url: str = omitted()
    conversation_inactivity_minutes: Annotated[Whole, Field(ge=1, le=10_000_000)] = omitted()


class TranscriptionEndpointingPlan(BaseModel, frozen=True, extra="allow"):
    """How long a silence ends the caller's turn, in seconds."""

    on_punctuation_seconds: Number = omitted()
    on_no_punctuation_seconds: Number = omitted()
    on_number_seconds: Number = omitted()


class StartSpeakingPlan(BaseModel, frozen=True, extra="allow"):
    """When the assistant begins to speak."""

    wait_seconds: Annotated[Number, Field(ge=0)] = omitted()
    transcription_endpointing_plan: TranscriptionEndpointingPlan = omitted()


class InterruptionSettings(BaseModel, frozen=True, extra="allow"):
    """Whether and how the caller may interrupt."""

    enable: Flag = omitted()
    disable_greeting_interruption: Flag = omitted()
    interrupt_prediction_threshold: Annotated[Number, Field(ge=0, le=1)] | None = omitted()
    start_speaking_plan: StartSpeakingPlan = omitted()


class InsightSettings(BaseModel, frozen=True, extra="allow"):
    """Which insights are drawn from a conversation when it ends, and by which model."""

    insight_group_id: str = omitted()
    model: Literal["zai-org/GLM-5.3-Flash", "meta-llama/Llama-3.3-70B-Instruct"] | None = omitted()


class PrivacySettings(BaseModel, frozen=True, extra="allow"):
    """What is kept of a conversation."""

    data_retention: Flag = omitted()
    pii_redaction: Literal["disabled", "redact"] = omitted()
    in_transit_data_locality: Flag = omitted()


class ObservabilitySettings(BaseModel, frozen=True, extra="allow"):
    """Tracing and prompt management at Langfuse."""

    status: Literal["enabled", "disabled"] = omitted()
    secret_key_ref: str = omitted()
    public_key_ref: str = omitted()
    host: str = omitted()
    prompt_name: str = omitted()
    prompt_version: Annotated[Whole, Field(ge=1)] = omitted()
    prompt_label: str = omitted()
    prompt_sync: Literal["enabled", "disabled"] = omitted()


class AudioVisualizerConfig(BaseModel, frozen=True, extra="allow"):
    """How the widget shows sound."""

    color: Literal["verdant", "twilight", "bloom", "mystic", "flare", "glacier"] = omitted()
    preset: str = omitted()


class WidgetSettings(BaseModel, frozen=True, extra="allow"):
    """How the widget looks."""

    theme: Literal["light", "dark"] = omitted()
    audio_visualizer_config: AudioVisualizerConfig = omitted()
    start_call_text: str = omitted()
    default_state: Literal["expanded", "collapsed"] = omitted()
    position: Literal["fixed", "static"] = omitted()
    agent_thinking_text: str = omitted()
    speak_to_interrupt_text: str = omitted()
    view_history_url: str | None = omitted()
    report_issue_url: str | None = omitted()
    give_feedback_url: str | None = omitted()
    logo_icon_url: str | None = omitted()


class PostConversationSettings(BaseModel, frozen=True, extra="allow"):
    """Whether the assistant gets one more turn after the conversation."""

    enabled: Flag = omitted()


class DelegationSettings(BaseModel, frozen=True, extra="allow"):
    """A second model that does the work while the first one talks."""

    enabled: Flag = omitted()
    mode: Literal["telnyx", "client"] = omitted()
    model: str = omitted()
    llm_api_key_ref: str = omitted()
    external_llm: ExternalLLM = omitted()
    instructions: str = omitted()
    speak_results: Flag = omitted()


class WebsocketSettings(BaseModel, frozen=True, extra="allow"):
    """A WebSocket server that hears the conversation's events."""

    enabled: Flag = omitted()
    url: Annotated[str, Field(pattern=r"^wss?://"), AfterValidator(_outside)] = omitted()
    auth_ref: str = omitted()

    @model_validator(mode="after")
    def _enabled_needs_an_address(self) -> Self:
        if "enabled" in self.model_fields_set and self.enabled and "url" not in self.model_fields_set:
            raise refuse(fault("missing", "Field required when enabled is true", None, ("url",)))
        return self


class AvatarSettings(BaseModel, frozen=True, extra="allow"):
    """The face of the assistant."""

    avatar_id: str
    background_id: Literal["office", "studio", "reception", "illustrated_workspace"]
    model: Literal["foxtrot-1"]
    provider: Literal["telnyx"]


class StartFiller(BaseModel, frozen=True, extra="allow"):
    """Said as soon as the request begins."""

    type: Literal["request_start"]
    content: Annotated[str, Field(min_length=1)]
    timing_ms: Whole | None = omitted()


class DelayedFiller(BaseModel, frozen=True, extra="allow"):
    """Said when the request has been pending this long."""

    type: Literal["request_response_delayed"]
    content: Annotated[str, Field(min_length=1)]
    timing_ms: Annotated[Whole, Field(ge=100, le=120_000)]


Filler = Annotated[StartFiller | DelayedFiller, Field(discriminator="type")]


class NamedValue(BaseModel, frozen=True, extra="allow"):
    """A header; the value is a template."""

    name: str = omitted()
    value: str = omitted()


class AgentHeader(BaseModel, frozen=True, extra="allow"):
    """A header sent to a remote agent."""

    name: str
    value: str


def _agent_url(url: str) -> str:
    # The limit counts bytes, which a JSON Schema cannot say.
    if len(url.encode()) > 2048:
        raise PydanticCustomError("string_too_long", "The URL should have at most 2048 bytes")
    if "{{" in url.split("://", 1)[-1].split("/", 1)[0]:
        raise PydanticCustomError("templated_host", "The URL's host cannot be a placeholder")
    return url


class A2AAgent(BaseModel, frozen=True, extra="allow"):
    """A remote agent that the assistant can delegate to."""

    name: Annotated[str, Field(max_length=43)]
    url: Annotated[str, Field(pattern=r"^https?://"), AfterValidator(_agent_url), AfterValidator(_outside)]
    headers: list[AgentHeader] = omitted()
    async_: Annotated[Flag, Field(alias="async")] = omitted()
    timeout_ms: Whole = omitted()
    poll_interval_ms: Whole = omitted()
    messages: list[Filler] = omitted()


class AssistantIntegration(BaseModel, frozen=True, extra="allow"):
    """An integration of the catalog; an empty ``allowed_list`` allows all of its tools."""

    integration_id: str
    allowed_list: list[str] = omitted()


class AssistantMcpServer(BaseModel, frozen=True, extra="allow"):
    """An MCP server; without ``allowed_tools`` the server's own list counts."""

    id: str
    allowed_tools: list[str] = omitted()
