#include "core/auth/alg.h"

static const struct alg_info infos[ALGS] = {
    [ALG_HS256] = {"HS256", ALG_HMAC, "SHA256", 32},
    [ALG_HS384] = {"HS384", ALG_HMAC, "SHA384", 48},
    [ALG_HS512] = {"HS512", ALG_HMAC, "SHA512", 64},
    [ALG_RS256] = {"RS256", ALG_RSA, "SHA256", 0},
    [ALG_RS384] = {"RS384", ALG_RSA, "SHA384", 0},
    [ALG_RS512] = {"RS512", ALG_RSA, "SHA512", 0},
    [ALG_PS256] = {"PS256", ALG_RSA_PSS, "SHA256", 0},
    [ALG_ES256] = {"ES256", ALG_ECDSA, "SHA256", 64},
    [ALG_ES384] = {"ES384", ALG_ECDSA, "SHA384", 96},
    [ALG_EDDSA] = {"EdDSA", ALG_ED25519, NULL, 64},
};

const struct alg_info *alg_info(enum alg alg)
{
    return &infos[alg];
}

bool alg_parse(struct slice name, enum alg *out)
{
    for (int i = 0; i < ALGS; i++) {
        if (slice_equals_str(name, infos[i].name)) {
            *out = (enum alg)i;
            return true;
        }
    }
    return false;
}
