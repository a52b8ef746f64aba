//! Providers of models, and what agents use beside them.

use super::{
    super::detector::{Builtin, Severity},
    detector, keyed, prefixed,
};

const ANTHROPIC: &str = "https://docs.anthropic.com/en/api/overview";

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/anthropic-admin-key",
        Severity::Critical,
        "Anthropic admin API key",
        "https://docs.anthropic.com/en/api/administration-api",
        &[prefixed(
            &["sk-ant-admin"],
            "sk-ant-admin[0-9]{2}-[A-Za-z0-9_-]{20,}",
        )],
    ),
    detector(
        "secrets/anthropic-oauth-token",
        Severity::High,
        "Anthropic OAuth access or refresh token, as Claude Code stores it",
        "https://docs.anthropic.com/en/docs/claude-code/iam",
        &[prefixed(
            &["sk-ant-oat", "sk-ant-ort"],
            "sk-ant-o[ar]t[0-9]{2}-[A-Za-z0-9_-]{20,}",
        )],
    ),
    detector(
        "secrets/anthropic-api-key",
        Severity::High,
        "Anthropic API key, or another key of theirs",
        ANTHROPIC,
        &[prefixed(
            &["sk-ant-"],
            "sk-ant-[a-z0-9]{2,12}-[A-Za-z0-9_-]{20,}",
        )],
    ),
    detector(
        "secrets/openrouter-api-key",
        Severity::High,
        "OpenRouter API key",
        "https://openrouter.ai/docs/api-reference/authentication",
        &[prefixed(&["sk-or-v1-"], "sk-or-v1-[0-9a-f]{64,}")],
    ),
    detector(
        "secrets/deepseek-api-key",
        Severity::High,
        "DeepSeek API key, and others of sk- and 32 hex digits (Qwen, StepFun)",
        "https://api-docs.deepseek.com/",
        &[prefixed(&["sk-"], r"sk-[0-9a-f]{32}\b")],
    ),
    detector(
        "secrets/openai-admin-key",
        Severity::Critical,
        "OpenAI admin key of an organisation",
        "https://platform.openai.com/docs/api-reference/administration",
        &[prefixed(&["sk-admin-"], "sk-admin-[A-Za-z0-9_-]{20,}")],
    ),
    detector(
        "secrets/openai-api-key",
        Severity::High,
        "OpenAI API key of a project, a service account or a user",
        "https://platform.openai.com/docs/api-reference/authentication",
        &[
            prefixed(
                &["sk-proj-", "sk-svcacct-", "sk-None-"],
                "sk-(?:proj|svcacct|None)-[A-Za-z0-9_-]{20,}",
            ),
            // The oldest form, 48 characters; other providers copied it.
            prefixed(&["sk-"], "sk-[A-Za-z0-9]{32,}"),
        ],
    ),
    detector(
        "secrets/huggingface-token",
        Severity::High,
        "Hugging Face user access, organisation or OAuth token",
        "https://huggingface.co/docs/hub/security-tokens",
        &[prefixed(
            &["hf_", "api_org_", "hf_oauth_"],
            "(?:hf|api_org|hf_oauth)_[A-Za-z0-9]{30,}",
        )],
    ),
    detector(
        "secrets/groq-api-key",
        Severity::High,
        "Groq API key",
        "https://console.groq.com/docs/quickstart",
        &[prefixed(&["gsk_"], "gsk_[A-Za-z0-9]{40,}")],
    ),
    detector(
        "secrets/xai-api-key",
        Severity::High,
        "xAI API key",
        "https://docs.x.ai/docs/overview",
        &[prefixed(&["xai-"], "xai-(?:token-)?[A-Za-z0-9]{60,}")],
    ),
    detector(
        "secrets/perplexity-api-key",
        Severity::High,
        "Perplexity API key",
        "https://docs.perplexity.ai/guides/api-key-management",
        &[prefixed(&["pplx-"], "pplx-[A-Za-z0-9]{40,}")],
    ),
    detector(
        "secrets/replicate-token",
        Severity::High,
        "Replicate API token",
        "https://replicate.com/docs/topics/security/api-tokens",
        &[prefixed(&["r8_"], "r8_[A-Za-z0-9]{37,}")],
    ),
    detector(
        "secrets/fireworks-api-key",
        Severity::High,
        "Fireworks AI API key",
        "https://docs.fireworks.ai/getting-started/quickstart",
        &[prefixed(&["fw_"], r"fw_[A-Za-z0-9]{22,24}\b")],
    ),
    detector(
        "secrets/together-api-key",
        Severity::High,
        "Together AI API key",
        "https://docs.together.ai/docs/api-keys-authentication",
        &[prefixed(&["tgp_v1_"], "tgp_v1_[A-Za-z0-9_-]{40,}")],
    ),
    detector(
        "secrets/cerebras-api-key",
        Severity::High,
        "Cerebras API key",
        "https://inference-docs.cerebras.ai/quickstart",
        &[prefixed(&["csk-"], "csk-[a-z0-9]{44,}")],
    ),
    detector(
        "secrets/nvidia-api-key",
        Severity::High,
        "NVIDIA API key (NGC, NIM)",
        "https://docs.nvidia.com/ngc/gpu-cloud/ngc-user-guide/index.html#generating-api-key",
        &[prefixed(&["nvapi-"], "nvapi-[A-Za-z0-9_-]{56,}")],
    ),
    detector(
        "secrets/elevenlabs-api-key",
        Severity::High,
        "ElevenLabs API key",
        "https://elevenlabs.io/docs/api-reference/authentication",
        &[prefixed(&["sk_"], r"sk_[0-9a-f]{48}\b")],
    ),
    detector(
        "secrets/cohere-api-key",
        Severity::High,
        "Cohere API key after its name",
        "https://docs.cohere.com/docs/rate-limits",
        &[keyed(
            &["cohere", "co_api_key"],
            named!(),
            r"[A-Za-z0-9]{40}\b",
        )],
    ),
    detector(
        "secrets/mistral-api-key",
        Severity::High,
        "Mistral AI API key after its name",
        "https://docs.mistral.ai/getting-started/quickstart/",
        &[keyed(&["mistral"], named!(), r"[A-Za-z0-9]{32}\b")],
    ),
    detector(
        "secrets/voyage-api-key",
        Severity::High,
        "Voyage AI API key",
        "https://docs.voyageai.com/docs/api-key-and-installation",
        &[prefixed(&["pa-", "al-"], r"(?:pa|al)-[A-Za-z0-9_]{43}\b")],
    ),
    detector(
        "secrets/jina-api-key",
        Severity::High,
        "Jina AI API key",
        "https://jina.ai/embeddings/",
        &[prefixed(&["jina_"], "jina_[0-9a-f]{32}[A-Za-z0-9_-]{20,}")],
    ),
    detector(
        "secrets/pinecone-api-key",
        Severity::High,
        "Pinecone API key",
        "https://docs.pinecone.io/guides/projects/manage-api-keys",
        &[prefixed(
            &["pcsk_"],
            "pcsk_[A-Za-z0-9]{4,8}_[A-Za-z0-9]{50,}",
        )],
    ),
    detector(
        "secrets/langsmith-api-key",
        Severity::High,
        "LangSmith API key, personal or of a service",
        "https://docs.smith.langchain.com/administration/how_to_guides/organization_management/create_account_api_key",
        &[prefixed(
            &["lsv2_pt_", "lsv2_sk_"],
            "lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10,}",
        )],
    ),
    detector(
        "secrets/langfuse-secret-key",
        Severity::High,
        "Langfuse secret key",
        "https://langfuse.com/docs/api",
        &[prefixed(&["sk-lf-"], concat!("sk-lf-", uuid!()))],
    ),
    detector(
        "secrets/wandb-api-key",
        Severity::High,
        "Weights & Biases API key, with its prefix or after its name",
        "https://docs.wandb.ai/quickstart/",
        &[
            prefixed(&["wandb_v1_"], "wandb_v1_[A-Za-z0-9_-]{40,}"),
            keyed(&["wandb"], named!(), r"[0-9a-f]{40}\b"),
        ],
    ),
    detector(
        "secrets/tavily-api-key",
        Severity::High,
        "Tavily API key",
        "https://docs.tavily.com/documentation/quickstart",
        &[prefixed(&["tvly-"], "tvly-(?:dev-|prod-)?[A-Za-z0-9]{24,}")],
    ),
    detector(
        "secrets/firecrawl-api-key",
        Severity::High,
        "Firecrawl API key",
        "https://docs.firecrawl.dev/introduction",
        &[prefixed(&["fc-"], r"fc-[0-9a-f]{32}\b")],
    ),
    detector(
        "secrets/apify-token",
        Severity::High,
        "Apify API token",
        "https://docs.apify.com/platform/integrations/api",
        &[prefixed(&["apify_api_"], "apify_api_[A-Za-z0-9]{30,}")],
    ),
    detector(
        "secrets/e2b-api-key",
        Severity::High,
        "E2B API key or access token",
        "https://e2b.dev/docs/api-key",
        &[prefixed(&["e2b_", "sk_e2b_"], "(?:sk_)?e2b_[0-9a-f]{40,}")],
    ),
];
