# Six generalized mixed models, which the scripts generalized_*.R read. They run in the
# folder of the package.

suppressMessages({
  library(lme4)
  library(glmmTMB)
  library(jsonlite)
})
data(Contraception, package = "mlmRev")
Contraception$ch <- factor(ifelse(Contraception$livch == "0", "N", "Y"))
tables <- read_json("tests/reference/tables.json", simplifyVector = TRUE)
published <- function(name) as.data.frame(lapply(tables[[name]], function(v) {
  if (is.list(v)) factor(v$levels[v$codes + 1], v$levels) else v
}))
carrots <- published("jansen_carrot")
rats <- published("BodyWeight")
epil <- transform(published("epil2"), visit = factor(period))

tight <- glmerControl(
  optimizer = "bobyqa", tolPwrss = 1e-13, optCtrl = list(rhoend = 1e-9, maxfun = 1e5)
)
tight_tmb <- glmmTMBControl(
  optimizer = optim, optArgs = list(method = "BFGS"),
  optCtrl = list(reltol = 1e-15, maxit = 1e4)
)

models <- list(
  cbpp = glmer(
    cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
    control = tight
  ),
  contraception = glmer(
    use ~ age + urban * ch + (1 | district), Contraception, binomial, control = tight
  ),
  grouseticks = glmer(
    TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION), grouseticks, poisson,
    control = tight
  ),
  carrots = glmer(
    cbind(y, n - y) ~ trt + (1 | gen) + (1 | block), carrots, binomial("cloglog"),
    control = tight
  ),
  epil = glmmTMB(
    y ~ trt * visit + offset(log(base / 4)) + (1 | subject), epil, nbinom2,
    control = tight_tmb
  ),
  rats = glmmTMB(
    weight ~ Time * Diet + (1 | Rat), rats, Gamma("log"), control = tight_tmb
  )
)
made_by <- paste0(
  R.version.string,
  paste0(
    ", ", loaded <- c("lme4", "glmmTMB", "car", "emmeans"), " ",
    sapply(loaded, function(p) format(packageVersion(p))), collapse = ""
  )
)
