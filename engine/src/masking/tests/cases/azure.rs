//! Azure's keys.

use super::{ALNUM, BASE64, Case, LOWER_HEX, after, bare, filler};

pub(super) fn uuid() -> String {
    let hex = filler(32, LOWER_HEX);
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

/// A key that names its service.
fn identifiable(random: usize, signature: &str, rest: &str) -> String {
    format!("{}{signature}{rest}", filler(random, BASE64))
}

/// A common annotated security key.
pub(super) fn annotated(signature: &str) -> String {
    format!(
        "{}JQQJ99BAAC{}{signature}aB3d",
        filler(52, ALNUM),
        filler(14, ALNUM)
    )
}

#[rustfmt::skip]
pub(super) fn cases() -> Vec<Case> {
    vec![
        after("secrets/azure-cosmos-key", "AccountEndpoint=https://x/;AccountKey=", identifiable(76, "ACDb", "aB3dEQ==")),
        after("secrets/azure-cosmos-key", "\"primaryMasterKey\": \"", identifiable(76, "ACDb", "aB3dEQ==")),
        after("secrets/azure-service-bus-key", "SharedAccessKey=", identifiable(33, "+ASb", "AaB3dE=")),
        after("secrets/azure-service-bus-key", "\"primaryKey\":\"", identifiable(33, "+ASb", "AaB3dE=")),
        after("secrets/azure-event-hubs-key", "SharedAccessKey=", identifiable(33, "+AEh", "AaB3dE=")),
        after("secrets/azure-relay-key", "SharedAccessKey=", identifiable(33, "+ARm", "AaB3dE=")),
        after("secrets/azure-iot-key", "HostName=x;DeviceId=d;SharedAccessKey=", identifiable(33, "AIoT", "AaB3dE=")),
        Case { after: ",ssl=True".to_owned(), ..after("secrets/azure-redis-key", "x.redis.cache.windows.net:6380,password=", identifiable(33, "AzCa", "AaB3dE=")) },
        after("secrets/azure-event-grid-key", "aeg-sas-key:", identifiable(33, "AZEG", "AaB3dE=")),
        after("secrets/azure-event-grid-key", "\"key\":\"", annotated("AZEG")),
        after("secrets/azure-batch-key", "BATCH_KEY=", identifiable(76, "+ABa", "aB3dEQ==")),
        after("secrets/azure-machine-learning-key", "key=\"", identifiable(76, "+AMC", "aB3dEQ==")),
        after("secrets/azure-api-management-key", "Ocp-Apim:", identifiable(76, "APIM", "aB3dEQ==")),
        after("secrets/azure-search-key", "\"primaryKey\":\"", format!("{}AzSeDaB3dE", filler(42, ALNUM))),
        after("secrets/azure-container-registry-key", "docker login x.azurecr.io -u x --password=", identifiable(42, "+ACR", "DaB3dE")),
        after("secrets/azure-container-registry-key", "\"value\":\"", annotated("ACRA")),
        after("secrets/azure-openai-key", "AZURE_OPENAI_API_KEY=", annotated("ACOG")),
        after("secrets/azure-annotated-key", "KEY=\"", annotated("AZZZ")),
        after("secrets/azure-storage-key", "key: \"", identifiable(76, "+ASt", "aB3dEQ==")),
        after("secrets/azure-storage-key", "az storage account show --primarySharedKey ", format!("{}==", filler(86, BASE64))),
        after("secrets/azure-sas", "SharedAccessSignature sr=x&sig=", format!("{}%3d&se=1", filler(43, ALNUM)).split('&').next().unwrap().to_owned()),
        after("secrets/azure-sas", "https%3A%2F%2Fx%3Fsv%3D1%26sig%3D", format!("{}%3D", filler(43, ALNUM))),
        after("secrets/azure-refresh-token", "{\"refresh_token\":\"", format!("1.AX{}.AgAB{}", filler(40, ALNUM), filler(200, ALNUM))),
        after("secrets/azure-functions-key", "https://x.azurewebsites.net/api/f?code=", format!("{}AzFuaB3dEQ==", filler(44, ALNUM))),
        after("secrets/azure-functions-key", "https://x.azurewebsites.net/api/f?code=", format!("{}==", filler(54, BASE64))),
        after("secrets/azure-functions-key", "https://x.azurewebsites.net/api/f?code=", format!("{}%3D%3D", filler(54, ALNUM))),
        after("secrets/azure-functions-key", "x-functions-key: ", format!("{}AzFuaB3dEQ==", filler(44, ALNUM))),
        after("secrets/azure-devops-pat", "AZURE_DEVOPS_EXT_PAT=", annotated("AZDO")),
        after("secrets/azure-devops-pat", "AZURE_DEVOPS_EXT_PAT=", super::super::devops_pat()),
        after("secrets/azure-devops-pat", "<ClearTextPassword=\"", super::super::devops_pat()),
        after("secrets/azure-ai-key", "api-key: ", filler(32, LOWER_HEX)),
        after("secrets/azure-ai-key", "Ocp-Apim-Subscription-Key: ", filler(32, LOWER_HEX)),
        after("secrets/azure-ai-key", "{\"key1\": \"", filler(32, LOWER_HEX)),
        after("secrets/azure-openai-key", "api-key: ", annotated("ACOG")),
        Case { after: "\"".to_owned(), ..after("secrets/azure-publish-password", "userName=\"$x\" userPWD=\"", filler(60, ALNUM)) },
        bare("secrets/azure-integration-runtime-key", "IR@", format!("{}@factory@ServiceEndpoint=x.frontend.example.net@{}=", uuid(), filler(43, BASE64))),
        after("secrets/azure-static-web-apps-token", "deployment_token: ", format!("{}-{}", filler(64, LOWER_HEX), uuid())),
    ]
}
