# Cluster-robust covariances of mixed models by clubSandwich:
#     Rscript tests/reference/clubsandwich.R > tests/reference/clubsandwich.json

suppressMessages({library(lme4); library(clubSandwich)})

search <- lmerControl(optimizer = "bobyqa",
                      optCtrl = list(rhobeg = 0.2, rhoend = 1e-12, maxfun = 1e5))
kept <- function(data) data[seq_len(nrow(data)) %% 7 != 3 & seq_len(nrow(data)) > 5, ]
sleep <- kept(sleepstudy)
oats <- kept(nlme::Oats)
fits <- list(
  sleepstudy = lmer(Reaction ~ Days + I(Days^2) + (Days | Subject), sleep, control = search),
  oats = lmer(yield ~ nitro + Variety + (1 | Block / Variety), oats, control = search))
clusters <- list(sleepstudy = sleep$Subject, oats = oats$Block)

out <- list(versions = list(R = R.version.string,
                            lme4 = as.character(packageVersion("lme4")),
                            clubSandwich = as.character(packageVersion("clubSandwich"))))
for (name in names(fits)) for (type in c("CR0", "CR1", "CR1S", "CR2")) {
  v <- vcovCR(fits[[name]], clusters[[name]], type)
  each <- coef_test(fits[[name]], v, test = "Satterthwaite")
  all <- Wald_test(fits[[name]], constrain_zero(seq_along(fixef(fits[[name]]))[-1]), v,
                   test = c("HTZ", "Naive-F"))
  out[[name]][[type]] <- list(se = each$SE, df = each$df_Satt, p = each$p_Satt,
    F = all$Fstat[all$test == "HTZ"], df_denom = all$df_denom[all$test == "HTZ"],
    naive_F = all$Fstat[all$test == "Naive-F"])
}
writeLines(jsonlite::toJSON(out, digits = 12, auto_unbox = TRUE, pretty = TRUE))
